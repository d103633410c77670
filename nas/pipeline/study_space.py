"""The space of a stored study."""

from __future__ import annotations

from nas.errors import NasError
from nas.space.load import load_space
from nas.space.space import Space
from nas.store import StudyRow


def space_of(study: StudyRow, file: str | None = None) -> tuple[Space, str]:
    """The space a study searched, and the name or file it was read from.

    Raises:
        NasError: it is not found by its name, or is no longer the one that was searched.
    """
    source = file or study.space
    space = load_space(source)
    if space.hash != study.space_hash:
        raise NasError(
            f"space {space.name!r} is no longer the one study {study.name!r} searched "
            f"(hash {space.hash}, then {study.space_hash}). Give the file it searched with --space."
        )
    return space, source
