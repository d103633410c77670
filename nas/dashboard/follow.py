"""Following a study: only what is new is read, the rest is kept in memory."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from nas.report.snapshot import SERIES, Series, Snapshot
from nas.store import RETRAINING, Storage, StudyRow
from nas.store.records import StudyMark

if TYPE_CHECKING:
    from pandas import DataFrame

_LATE = "predictor"  # its steps are trial numbers, which finish in any order


class Follower:
    """One study as it grows; safe to share between threads.

    Trials and series are read from the revision and step of the last look; front, presets and
    generations, which are small, whenever the study has changed. When trials were taken back (a new
    epoch), or the study is another one of that name, it starts over.

    Args:
        storage: to read from.
        name: of the study.
    """

    def __init__(self, storage: Storage, name: str) -> None:
        self._storage, self._name = storage, name
        self._lock = threading.Lock()
        self._known: Snapshot | None = None
        self._settled = (0, 0)
        self._begun: Mapping[str, int] = {}

    def look(self) -> Snapshot:
        """The study as it is now.

        Raises:
            NasError: no such study, or a storage that cannot be read.
        """
        with self._lock:
            study = self._storage.study(self._name)
            known = self._known
            if known is None or line_of(known.study) != line_of(study):
                known, self._settled = None, (0, 0)
            if known is None or _now(known.study) != _now(study):
                self._known = self._read(study, known)
            assert self._known is not None
            return self._known

    def _read(self, study: StudyRow, known: Snapshot | None) -> Snapshot:
        fresh = self._storage.trials_frame(study.id, since=known.study.revision if known else 0)
        trials = merged(known.trials, _searched(fresh)) if known else _searched(fresh)
        series = {name: self._longer(study.id, name, known) for name in SERIES}
        self._settled = (self._settled[1], settled(trials))
        return Snapshot(
            study,
            trials,
            self._storage.front(study.id),
            self._storage.presets(study.id),
            self._storage.hypervolume_history(study.id),
            series,
            self._retrainings(study, known),
        )

    def _retrainings(self, study: StudyRow, known: Snapshot | None) -> dict[str, Series]:
        """Series of retrained networks: points stored since the last look replace those of their steps."""
        before, self._begun = self._begun if known else {}, self._storage.series_begun(study.id)
        found = {}
        for name in sorted(name for name in self._begun if name.startswith(RETRAINING)):
            arch_id = name.removeprefix(RETRAINING)
            old = known.retrainings.get(arch_id) if known and before.get(name) == self._begun[name] else None
            since = known.study.revision if known and old else 0
            fresh = self._storage.series(study.id, name, since=since)
            found[arch_id] = with_fresh(old, fresh) if old else fresh
        return found

    def _longer(self, study_id: int, name: str, known: Snapshot | None) -> Series:
        """A series with its new steps behind those that can no longer change."""
        points: Mapping[str, Series] = known.series if known else {}
        old = points.get(name, [])
        last = old[-1][0] if old else -1
        # a trial is stored just before its prediction, so that the look before the last one counts
        after = min(last, self._settled[0] - 1) if name == _LATE else last
        return [point for point in old if point[0] <= after] + self._storage.series(
            study_id, name, after=after
        )


def line_of(study: StudyRow | StudyMark) -> tuple[int, datetime, int]:
    """Stays while a study only grows: not where trials were taken back, or another took its name and id."""
    return study.id, study.created, study.epoch


def _now(study: StudyRow) -> tuple[int, str]:
    """Changes with every commit, and when the process that ran it is gone."""
    return study.revision, study.state


def merged(known: DataFrame, fresh: DataFrame) -> DataFrame:
    """Rows of both by number; a fresh row replaces a known one."""
    import pandas as pd

    if not len(known) or not len(fresh):
        return fresh if len(fresh) else known
    kept = known[~known["number"].isin(fresh["number"])]
    if not len(kept):
        return fresh
    return pd.concat([kept, fresh]).sort_values("number", ignore_index=True)


def with_fresh(old: Series, fresh: Series) -> Series:
    """Points of both by step; a fresh one replaces a known one."""
    if not fresh or not old or fresh[0][0] > old[-1][0]:
        return [*old, *fresh]
    return sorted((dict(old) | dict(fresh)).items())


def settled(trials: DataFrame) -> int:
    """The lowest trial number that may still get a result."""
    running = trials.loc[trials["state"] == "running", "number"]
    return int(running.min()) if len(running) else len(trials)


def _searched(trials: DataFrame) -> DataFrame:
    """Without metrics of later stages: their titles change as more are stored, and the front has them."""
    later = [column for column in map(str, trials) if _is_later(column)]
    return trials.drop(columns=later)


def _is_later(column: str) -> bool:
    if column.startswith("arch."):
        return False
    base = column
    for ending in (".provenance", ".low", ".high"):
        base = base.removesuffix(ending)
    return "." in base.partition("@")[0]
