"""What the pages read: every study of a storage, followed."""

from __future__ import annotations

import threading
from collections.abc import Hashable
from dataclasses import dataclass

from nas.dashboard.follow import Follower, line_of
from nas.errors import NasError
from nas.report.snapshot import Snapshot
from nas.store import Storage, StudyRow, TrialRow
from nas.store.records import StudyMark


@dataclass(frozen=True)
class Listed:
    """A study in the list.

    Attributes:
        front: number of architectures on its front now.
        hypervolume: the last one recorded; None if there is none.
    """

    study: StudyRow
    front: int
    hypervolume: float | None


class KeptFronts:
    """Fronts of studies, each read again only when its study has changed; safe to share between threads.

    Args:
        storage: to read from.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._marks: dict[int, Hashable] = {}
        self._kept: dict[tuple[int, Hashable], list[TrialRow]] = {}

    def study(self, name: str) -> StudyRow:
        """The study of that name as it is now.

        Raises:
            NasError: no such study, or a storage that cannot be read.
        """
        row = self._storage.study(name)
        self._marks[row.id] = _state(row)
        return row

    def front(self, study_id: int) -> list[TrialRow]:
        """Trials on a study's front when `study` was last asked for it."""
        key = (study_id, self._marks[study_id])
        front = self._kept.get(key)
        if front is None:
            front = self._storage.front(study_id)
            self._kept = {old: kept for old, kept in self._kept.items() if old[0] != study_id} | {key: front}
        return front


class Feed:
    """The studies of a storage, each read once and then followed.

    Args:
        storage: opened for reading only.
    """

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.fronts = KeptFronts(storage)
        self._lock = threading.Lock()
        self._followers: dict[str, Follower] = {}
        self._listed: dict[int, Listed] = {}

    def study(self, name: str) -> Snapshot:
        """A study as it is now.

        Raises:
            NasError: no such study, or a storage that cannot be read.
        """
        with self._lock:
            follower = self._followers.get(name) or Follower(self.storage, name)
        snapshot = follower.look()
        with self._lock:
            self._followers.setdefault(name, follower)
        return snapshot

    def listing(self) -> list[Listed]:
        """Every study, the one that changed last first; only changed ones are read again."""
        marks = self.storage.marks()
        with self._lock:
            known = dict(self._listed)
        looked = {mark.id: self._look(mark, known.get(mark.id)) for mark in marks}
        found = {key: one for key, one in looked.items() if one is not None}
        with self._lock:
            self._listed = found
        return sorted(found.values(), key=lambda one: one.study.updated, reverse=True)

    def _look(self, mark: StudyMark, known: Listed | None) -> Listed | None:
        """A study as it is now; None where it cannot be read, which its own page tells."""
        if known is not None and _state(known.study) == _state(mark):
            return known
        try:
            row = self.storage.study(mark.name)
            volumes = [one.hypervolume for one in self.storage.hypervolume_history(row.id)]
            return Listed(row, len(self.storage.front(row.id)), volumes[-1] if volumes else None)
        except NasError:
            return None


def _state(study: StudyRow | StudyMark) -> Hashable:
    return line_of(study), study.revision, study.state
