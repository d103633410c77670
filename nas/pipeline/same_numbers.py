"""Whether a study's numbers can be gone on with: architectures cost now what they cost when it was searched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isclose

from nas.errors import NasError
from nas.metrics import Metric
from nas.pipeline.metrics import CheapMetrics
from nas.pipeline.table import MeasuredTable
from nas.space import ArchBatch, Space
from nas.store import Storage, StudyRow, TrialRow

COMPARED = 16
"""Trials that are computed again: the first ones that are complete. Tables are looked at for all of them."""
CLOSE = 1e-6
"""Relative; predicted latencies may differ in the last digits from machine to machine."""


def check_same_numbers(
    metrics: CheapMetrics, store: Storage, study: StudyRow, tables: Sequence[tuple[str, MeasuredTable]] = ()
) -> None:
    """Make sure that new trials of a study can be compared with those it has.

    What follows from an architecture alone is computed again for some of its trials. It is something else where this
    version counts otherwise (MACs, parameters and memory were once those of the trained form, and are those of
    the deployed form), or where a device's table or predictor was made anew.

    Args:
        tables: of measured values, by metric.

    Raises:
        NasError: which numbers are others now, why, and how to go on.
    """
    trials = [trial for trial in store.trials(study.id) if trial.state == "complete"]
    edited = _edited(metrics.space, tables, trials)
    names = {change.metric for change in edited}
    changed = [*edited, *(c for c in _changed(metrics, trials[:COMPARED]) if c.metric not in names)]
    if changed:
        listed = "\n  ".join(change.line for change in changed)
        reasons = dict.fromkeys(_reason(change) for change in changed)
        raise NasError(
            f"study {study.name!r} cannot be continued: its architectures have other numbers now than those it "
            f"stored, and one front cannot hold both:\n  {listed}\n{' '.join(reasons)} "
            f"{_remedy(study, changed)}"
        )


@dataclass(frozen=True)
class _Change:
    """A metric that is another number now, for the first trial where it is."""

    metric: str
    trial: int
    then: Metric
    now: Metric

    @property
    def line(self) -> str:
        there = self.now.value == self.now.value
        now = f"is {self.now.value:,.6g}" if there else "has no value any more"
        return f"{self.metric} of trial {self.trial}: was {self.then.value:,.6g}, {now}"


def _remedy(study: StudyRow, changed: Sequence[_Change]) -> str:
    """What can still be done, and how to search on."""
    tables = sorted(
        {change.now.detail.partition("#")[0] for change in changed if change.now.provenance == "table"}
    )
    back = f"put {' and '.join(tables)} back as it was, or " if tables else ""
    if study.config.get("accuracy", "supernet") != "supernet":  # nothing was trained
        return f"The study can still be shown. To search on, {back}begin another one: --study-name OTHER."
    return (
        f"The study can still be shown, exported and retrained. To search on, {back}begin one that takes its trained "
        f"weights: --supernet {study.name} --study-name OTHER."
    )


def _reason(change: _Change) -> str:
    """Why it may have become another number, a sentence."""
    if change.now.provenance == "counted":
        return "Counted costs are those of the deployed form; an earlier nas counted the trained form."
    if change.now.provenance == "table":
        return "A table of measured values was made anew."
    return (
        f"The table or predictor behind {change.metric} ({change.now.detail or 'its device'}) was made anew."
    )


def _edited(
    space: Space, tables: Sequence[tuple[str, MeasuredTable]], trials: Sequence[TrialRow]
) -> list[_Change]:
    """The first difference of each table."""
    if not trials:
        return []
    batch = ArchBatch(space, space.encode([trial.arch for trial in trials]).codes)
    changed: dict[str, _Change] = {}
    for name, table in tables:
        for trial, value in zip(trials, table.values(batch).tolist()):
            then = trial.metrics.get(name)
            if then is not None and then.provenance == "table" and not _same(then.value, value):
                now = Metric(value, then.unit, "table", detail=table.detail)
                changed.setdefault(name, _Change(name, trial.number, then, now))
    return [changed[name] for name in sorted(changed)]


def _changed(metrics: CheapMetrics, trials: Sequence[TrialRow]) -> list[_Change]:
    """The first difference of each metric."""
    if not trials:
        return []
    now = metrics.metrics(metrics.space.encode([trial.arch for trial in trials]))
    changed: dict[str, _Change] = {}
    for trial, values in zip(trials, now):
        for name in values.keys() & trial.metrics.keys():
            change = _Change(name, trial.number, trial.metrics[name], values[name])
            if not _same(change.then.value, change.now.value):
                changed.setdefault(name, change)
    return [changed[name] for name in sorted(changed)]


def _same(a: float, b: float) -> bool:
    return isclose(a, b, rel_tol=CLOSE) or (a != a and b != b)
