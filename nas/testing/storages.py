"""What a run relies on in a database, for one that nas was not tested on."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from uuid import uuid4

import numpy as np

from nas.errors import NasError
from nas.metrics import Metric
from nas.search.pareto import non_dominated
from nas.store import Objective, Storage, StudyRow, TrialRecord
from nas.testing.demand import demand

OBJECTIVES = (Objective("accuracy", "max", "fraction"), Objective("latency", "min", "ms"))


def check_storage(url: str) -> None:
    """Check every property of `PROPERTIES` on the database at a URL; the studies it makes begin with `check-`.

    Args:
        url: an SQLAlchemy URL, of an empty database if possible.

    Raises:
        AssertionError: the first property that does not hold, in a sentence.
        NasError: the database cannot be opened at all.
    """
    for holds in PROPERTIES:
        holds(url)


def studies_come_back(url: str) -> None:
    """What a study is created with is read again by whoever opens the storage, and a name is taken once."""
    storage = Storage(url)
    config = {"seed": 3, "text": "é 🙂 '\"; --", "list": [1, 2.5, None, True]}
    study = _study(storage, config=config)
    read = _again(url, lambda other: other.study(study.name))
    demand(read.config == config, f"a study's config {config!r} is read as {read.config!r}.")
    demand(read.objectives == OBJECTIVES, "a study's objectives are not read as they were written.")
    try:
        _study(storage, name=study.name)
    except NasError:
        pass
    else:
        raise AssertionError("a second study of the same name could be created.")
    storage.close()


def trials_come_back(url: str) -> None:
    """Trials are numbered in their order, an architecture is stored once, and numbers come back to the last bit."""
    storage = Storage(url)
    study = _study(storage)
    odd = [(0.1 + 0.2, 1 / 3), (math.nan, math.inf), (5e-324, 1.7976931348623157e308)]
    numbers = storage.add_trials(study.id, [_trial(key, *pair) for key, pair in enumerate(odd)])
    demand(numbers.tolist() == [0, 1, 2], f"three trials are numbered {numbers.tolist()} instead of 0, 1, 2.")
    numbers = storage.add_trials(study.id, [_trial(1, 0.5, 0.5), _trial(3, 0.5, 0.5)])
    demand(numbers.tolist() == [1, 3], "an architecture that is stored already gets a second trial.")
    rows = _again(url, lambda other: other.trials(study.id))
    for row, pair in zip(rows, odd):
        got = tuple(row.metrics[objective.name].value for objective in OBJECTIVES)
        same = all(a == b or (a != a and b != b) for a, b in zip(got, pair))
        demand(same, f"a trial's values {pair!r} are read as {got!r}.")
    storage.close()


def fronts_are_right(url: str) -> None:
    """The front is what no other trial dominates, after every batch."""
    storage = Storage(url)
    study = _study(storage)
    table = np.random.default_rng(0).integers(0, 8, size=(60, 2)).astype(float)
    for start in range(0, len(table), 12):
        storage.add_trials(study.id, [_trial(key, *table[key]) for key in range(start, start + 12)])
        expected = np.flatnonzero(non_dominated(table[: start + 12], ("max", "min"))).tolist()
        front = [row.number for row in storage.front(study.id)]
        demand(front == expected, f"after {start + 12} trials the front is {front} instead of {expected}.")
    storage.close()


def rollbacks_restore(url: str) -> None:
    """Going back to a revision gives the trials and the front it had."""
    storage = Storage(url)
    study = _study(storage)
    storage.add_trials(study.id, [_trial(0, 0.5, 5.0), _trial(1, 0.6, 6.0)])
    revision, before = storage.study(study.name).revision, _numbers(storage, study)
    storage.add_trials(study.id, [_trial(2, 0.9, 1.0)])
    storage.rollback_to(study.id, revision)
    demand(
        _numbers(storage, study) == before,
        "after going back to a revision, trials or front are not what they were.",
    )
    storage.close()


def failed_batches_leave_nothing(url: str) -> None:
    """A batch with a wrong record is stored not at all."""
    storage = Storage(url)
    study = _study(storage)
    wrong = TrialRecord("arch-1", {"key": "1"}, 0, state="nonsense")  # type: ignore[arg-type]
    with suppress(NasError):
        storage.add_trials(study.id, [_trial(0, 0.5, 0.5), wrong])
    demand(not storage.trials(study.id), "a batch that was refused has left a trial.")
    storage.close()


def names_differ_by_every_letter(url: str) -> None:
    """Names that differ in case or accents are different names."""
    storage = Storage(url)
    base = f"check-{uuid4().hex}"
    names = [f"{base}-name", f"{base}-NAME", f"{base}-nâme"]
    try:
        for name in names:
            _study(storage, name=name)
    except NasError as error:
        raise AssertionError(
            f"names that differ in case or accents are taken for the same: {error}"
        ) from None
    demand(storage.study(names[1]).name == names[1], "a study is found by a name that differs in case.")
    storage.close()


PROPERTIES = (
    studies_come_back,
    trials_come_back,
    fronts_are_right,
    rollbacks_restore,
    failed_batches_leave_nothing,
    names_differ_by_every_letter,
)


def _numbers(storage: Storage, study: StudyRow) -> tuple[list[int], list[int]]:
    rows, front = storage.trials(study.id), storage.front(study.id)
    return [row.number for row in rows], [row.number for row in front]


def _again(url: str, read: Callable[[Storage], Any]) -> Any:
    """What another connection reads."""
    other = Storage(url)
    try:
        return read(other)
    finally:
        other.close()


def _study(storage: Storage, name: str | None = None, config: dict[str, object] | None = None) -> StudyRow:
    chosen = name or f"check-{uuid4().hex}"
    return storage.create_study(
        chosen, space="small", space_hash="abc", objectives=OBJECTIVES, config=config or {}
    )


def _trial(key: int, accuracy: float, latency: float) -> TrialRecord:
    metrics = {
        "accuracy": Metric(float(accuracy), "fraction", "measured"),
        "latency": Metric(float(latency), "ms", "predicted"),
    }
    return TrialRecord(f"arch-{key}", {"key": str(key)}, 0, metrics=metrics)
