"""Studies and trials for the storage's tests."""

from __future__ import annotations

from itertools import count

from nas.metrics import Metric
from nas.store import Objective, Storage, StudyRow, TrialRecord

OBJECTIVES = (Objective("accuracy", "max", "fraction"), Objective("latency", "min", "ms"))
_serial = count()


def new_study(storage: Storage, name: str | None = None, **settings) -> StudyRow:
    """A study whose name, if it does not matter, is new."""
    given = {"space": "digits", "space_hash": "abc", "objectives": OBJECTIVES, "config": {}, **settings}
    return storage.create_study(f"study {next(_serial)}" if name is None else name, **given)


def trial(key: object, accuracy=None, latency=None, *, generation=0, **settings) -> TrialRecord:
    """A trial whose architecture is its key; an objective that is None is not recorded."""
    metrics = {}
    if accuracy is not None:
        metrics["accuracy"] = Metric(accuracy, "fraction", "measured", detail="search split")
    if latency is not None:
        metrics["latency"] = Metric(latency, "ms", "predicted")
    arch = {"key": str(key), "depth": 2, "widths": [16, 24]}
    return TrialRecord(f"arch-{key}", arch, generation, metrics=metrics, **settings)


def numbers(rows) -> list[int]:
    """Trial numbers of rows, in their order."""
    return [row.number for row in rows]


def dump(storage: Storage, study: StudyRow) -> dict:
    """All that a study holds, less what depends on the clock or counts commits."""

    def plain(row) -> dict:
        return {k: v for k, v in vars(row).items() if k not in ("created", "finished", "revision", "updated")}

    last = max([-1, *(row.generation for row in storage.trials(study.id))])
    now = storage.study(study.name)
    return {
        "counts": (now.n_trials, now.n_complete, now.generation),
        "trials": [plain(row) for row in storage.trials(study.id)],
        "fronts": {g: numbers(storage.front(study.id, generation=g)) for g in range(-1, last + 2)},
        "front": numbers(storage.front(study.id)),
        "generations": [plain(row) for row in storage.hypervolume_history(study.id)],
        "series": {name: storage.series(study.id, name) for name in storage.series_names(study.id)},
    }
