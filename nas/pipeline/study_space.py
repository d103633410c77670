"""The space of a stored study."""

from __future__ import annotations

from pathlib import Path

from nas.errors import NasError
from nas.pipeline.plan import study_folder
from nas.plugins.compare import check_loaded
from nas.plugins.records import WEIGHTS
from nas.space.load import load_space
from nas.space.space import Space
from nas.store import StudyRow


def space_of(
    study: StudyRow, file: str | None = None, *, searches: bool = False, changed_plugins: bool = False
) -> tuple[Space, str]:
    """The space a study searched, and the name or file it was read from.

    Args:
        file: to read it from; else the file that the study names, where it is still there, else the space's name.
        searches: whether its search is to be repeated or used, and not its weights alone.
        changed_plugins: whether plug-ins may have changed since.

    Raises:
        NasError: it is not found, or is no longer the one that was searched; or the same of a plug-in.
    """
    check_loaded(
        study.name,
        study.facts,
        study_folder(study.name),
        "cannot be used",
        kinds=() if searches else WEIGHTS,
        changed=not changed_plugins,
    )
    noted = str(study.facts.get("space_file") or "")
    source = file or (noted if noted and Path(noted).is_file() else study.space)
    try:
        space = load_space(source)
    except NasError as error:
        if file is not None:
            raise
        raise NasError(
            f"the space {study.space!r} of study {study.name!r} is not found: give its file with --space. ({error})"
        ) from None
    if space.hash != study.space_hash:
        raise NasError(
            f"space {space.name!r} in {source} is no longer the one study {study.name!r} searched "
            f"(hash {space.hash}, then {study.space_hash}). Give the file it searched with --space."
        )
    return space, source
