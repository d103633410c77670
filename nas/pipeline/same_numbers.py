"""Whether a study's numbers can be gone on with: architectures cost now what they cost when it was searched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isclose

from nas.errors import NasError
from nas.metrics import Metric
from nas.pipeline.metrics import CheapMetrics
from nas.store import Storage, StudyRow, TrialRow

COMPARED = 16
"""Trials that are computed again: the first ones that are complete."""
CLOSE = 1e-6
"""Relative; predicted latencies may differ in the last digits from machine to machine."""


def check_same_numbers(metrics: CheapMetrics, store: Storage, study: StudyRow) -> None:
    """Make sure that new trials of a study can be compared with those it has.

    What follows from an architecture alone is computed again for some of its trials. It is something else where this
    version counts otherwise (MACs, parameters and memory were once those of the trained form, and are those of
    the deployed form), or where a device's table or predictor was made anew.

    Raises:
        NasError: which numbers are others now, and how to go on.
    """
    trials = [trial for trial in store.trials(study.id) if trial.state == "complete"][:COMPARED]
    changed = _changed(metrics, trials)
    if changed:
        listed = "\n  ".join(changed)
        raise NasError(
            f"study {study.name!r} cannot be continued: its architectures have other numbers now than those it "
            f"stored, and one front cannot hold both:\n  {listed}\n"
            "Counted costs are those of the deployed form; an earlier nas counted the trained form. The study can "
            "still be shown, exported and retrained. To search on, begin one that takes its trained weights: "
            f"--supernet {study.name} --study-name OTHER."
        )


def _changed(metrics: CheapMetrics, trials: Sequence[TrialRow]) -> list[str]:
    """The first difference of each metric, in words."""
    if not trials:
        return []
    now = metrics.metrics(metrics.space.encode([trial.arch for trial in trials]))
    changed: dict[str, str] = {}
    for trial, values in zip(trials, now):
        for name, (then, is_now) in _differing(trial.metrics, values).items():
            changed.setdefault(name, f"{name} of trial {trial.number}: was {then:,.6g}, is {is_now:,.6g}")
    return list(changed.values())


def _differing(then: Mapping[str, Metric], now: Mapping[str, Metric]) -> dict[str, tuple[float, float]]:
    """Metrics that both have, with other values."""
    pairs = {name: (then[name].value, now[name].value) for name in now if name in then}
    return {name: (a, b) for name, (a, b) in pairs.items() if not _same(a, b)}


def _same(a: float, b: float) -> bool:
    return isclose(a, b, rel_tol=CLOSE) or (a != a and b != b)
