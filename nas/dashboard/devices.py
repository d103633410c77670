"""The fronts of one study on several devices over each other."""

from __future__ import annotations

import numpy as np

from nas.report.overlay import Outline, Overlay
from nas.report.points import Floats
from nas.report.snapshot import Snapshot
from nas.report.units import scale_for
from nas.search.pareto import hypervolume, non_dominated
from nas.store import Objective, TrialRow


def by_device(snapshot: Snapshot) -> Overlay | None:
    """What the study's front reaches on each of its devices, taken alone.

    Each outline is named after its device: the members that no other member beats in the first objective
    that is maximised and in the latency there. Hypervolumes are those of that plane, against the study's
    worst corner of all devices.

    Returns:
        None for a study of fewer than two devices, or without an objective to be maximised.
    """
    study = snapshot.study
    best = next((one for one in study.objectives if one.direction == "max"), None)
    costs = [one for one in study.objectives if "@" in one.name and one.direction == "min"]
    costs = [one for one in costs if _base(one) == _base(costs[0])]
    if best is None or len(costs) < 2:
        return None
    point = study.reference_point or {}
    corner = [point.get(best.name, np.nan), max(point.get(cost.name, np.nan) for cost in costs)]
    reference = np.array(corner, dtype=np.float64)
    outlines = [_outline(list(snapshot.front), best, cost, reference) for cost in costs]
    shared = (best, Objective(_base(costs[0]), "min", costs[0].unit))
    every = np.concatenate([outline.values for outline in outlines])
    scales = [scale_for(one.unit, every[:, index]) for index, one in enumerate(shared)]
    return Overlay(shared, reference, outlines, x=1, y=0, scales=scales)


def _base(objective: Objective) -> str:
    return objective.name.partition("@")[0]


def _outline(front: list[TrialRow], best: Objective, cost: Objective, reference: Floats) -> Outline:
    values = np.array([[trial.metrics[one.name].value for one in (best, cost)] for trial in front])
    values = values.reshape(len(front), 2)
    kept = np.flatnonzero(non_dominated(values, ("max", "min"))) if front else np.zeros(0, dtype=np.int64)
    kept = kept[np.argsort(values[kept, 1], kind="stable")]
    known = len(kept) > 0 and bool(np.isfinite(reference).all())
    volume = hypervolume(values[kept], reference, ("max", "min")) if known else float("nan")
    device = cost.name.partition("@")[2]
    return Outline(device, values[kept], [front[row].arch_id for row in kept], volume)
