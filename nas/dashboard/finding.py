"""Finding what a study was run with: its space, by name and hash, and its devices."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nas.errors import NasError

if TYPE_CHECKING:
    from nas.latency.device import Device
    from nas.space.space import Space
    from nas.store import StudyRow


class Finder:
    """Spaces and devices of studies, each loaded once.

    Args:
        files: YAML files of spaces that are not found by name.
    """

    def __init__(self, files: Sequence[Path] = ()) -> None:
        self._files = list(files)
        self._lock = threading.Lock()
        self._spaces: dict[tuple[str, str], Space] = {}
        self._given: dict[str, Path] = {}
        self._devices: dict[str, Device] = {}

    def space(self, study: StudyRow) -> Space:
        """The space of a study, exactly as it was searched.

        Raises:
            NasError: it is not here, or no longer the same; with what would help.
        """
        key = (study.space, study.space_hash)
        with self._lock:
            if key not in self._spaces:
                self._spaces[key] = self._load(study)
            return self._spaces[key]

    def file(self, study: StudyRow) -> str | None:
        """The given file that holds the space of a study; None where it was found without one, or not yet."""
        given = self._given.get(study.space_hash)
        return None if given is None else str(given)

    def _load(self, study: StudyRow) -> Space:
        from nas.pipeline.study_space import space_of
        from nas.space import load_space

        for file in self._files:
            space = load_space(file)
            if space.hash == study.space_hash:
                self._given[space.hash] = file
                return space
        try:
            return space_of(study)[0]
        except NasError as error:
            raise NasError(f"The networks of this study are not drawn: {error}") from None

    def devices(self, study: StudyRow) -> tuple[list[Device], list[str]]:
        """The devices of a study that are found, and why the others are not."""
        from nas.latency.device import load_device

        found, missing = [], []
        with self._lock:
            for name in map(str, study.config.get("devices") or []):
                try:
                    if name not in self._devices:
                        self._devices[name] = load_device(name)
                    found.append(self._devices[name])
                except NasError as error:
                    missing.append(f"No latencies on {name}: {error}")
        return found, missing
