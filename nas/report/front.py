"""What the Pareto front figures show.

One panel for each pair of objectives; in each, one view for every set of data that accuracies
were taken on, so that search accuracies and final test accuracies never share a plot.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.metrics import Metric
from nas.report import candidates
from nas.report.candidates import Candidate
from nas.report.points import Axis, Floats, Points, place
from nas.report.snapshot import Snapshot
from nas.report.units import Scale, scale_for, title
from nas.search.pareto import non_dominated
from nas.store import Objective

SHOWN = 2000  # points of a cloud that are drawn; more would only make the page large
TRIAL = "number"
_MARGIN = 0.04


@dataclass(frozen=True)
class View:
    """What was evaluated in one way.

    Attributes:
        stage: `"search"`, or `"final"` for numbers taken again at the end and other data.
        details: what its accuracies refer to.
        front, dominated, infeasible, presets: points; where a cloud is thinned out it is spread
            evenly over the trials.
        line: (x, y) of the corners of what the front reaches; empty where it is not a line.
        dominated_total, infeasible_total: points before the thinning.
        outside: points drawn that lie outside the axes' spans.
    """

    stage: str
    details: list[str]
    front: Points
    dominated: Points
    infeasible: Points
    presets: Points
    line: tuple[Floats, Floats]
    dominated_total: int = 0
    infeasible_total: int = 0
    outside: int = 0


@dataclass(frozen=True)
class Panel:
    """Two objectives and the views of them, which share the axes."""

    x: Axis
    y: Axis
    views: list[View]

    @property
    def mixed(self) -> bool:
        """Whether numbers of different provenance meet on an axis."""
        return len(self.x.provenances) > 1 or len(self.y.provenances) > 1


def panels(snapshot: Snapshot) -> list[Panel]:
    """A panel for each pair of objectives; one over the trials' numbers for a single objective."""
    return [_panel(snapshot, x, y) for x, y in pairs(snapshot.study.objectives)]


def pairs(objectives: Sequence[Objective]) -> list[tuple[Objective, Objective]]:
    """(x, y) for each panel: what is maximised against each cost, then costs against each other.

    The same metric on two devices is no pair: nobody chooses between two phones' latencies.
    """
    if len(objectives) == 1:
        return [(Objective(TRIAL, "min"), objectives[0])]
    ordered = sorted(objectives, key=lambda objective: objective.direction == "min")
    chosen = [(x, y) for y, x in combinations(ordered, 2) if _base(x) != _base(y)]
    return chosen or [(x, y) for y, x in combinations(ordered, 2)]


def _base(objective: Objective) -> str:
    return objective.name.partition("@")[0]


def _panel(snapshot: Snapshot, x_of: Objective, y_of: Objective) -> Panel:
    x, y = _axis(snapshot, x_of), _axis(snapshot, y_of)
    found = [view for view in (_search(snapshot, x, y), _final(snapshot, x, y)) if view]
    x = replace(x, span=_span(found, 0, x), provenances=_provenances(found, 0))
    y = replace(y, span=_span(found, 1, y), provenances=_provenances(found, 1))
    return Panel(x, y, [replace(view, outside=_outside(view, x, y)) for view in found])


def _axis(snapshot: Snapshot, objective: Objective) -> Axis:
    name = objective.name
    if name == TRIAL:
        return Axis(name, "Trial", "min", Scale(1.0, "", ""))
    scale = scale_for(objective.unit, _of_column(snapshot, name))
    bounds = [
        float(constraint["bound"]) * scale.factor
        for constraint in snapshot.study.constraints
        if constraint.get("metric") == name and "bound" in constraint
    ]
    return Axis(name, title(name, snapshot.device(name)), objective.direction, scale, bounds=tuple(bounds))


def _of_column(snapshot: Snapshot, name: str) -> Floats:
    if name not in snapshot.trials:
        return np.empty(0)
    return np.asarray(snapshot.trials[name], dtype=np.float64)


def _search(snapshot: Snapshot, x: Axis, y: Axis) -> View | None:
    states = np.asarray(snapshot.trials["state"], dtype=object)
    drawn = (
        ~np.isnan(_of_column(snapshot, y.name)) if y.name in snapshot.trials else np.zeros(len(states), bool)
    )
    if x.name != TRIAL:
        drawn &= ~np.isnan(_of_column(snapshot, x.name)) if x.name in snapshot.trials else False
    members = np.isin(snapshot.trials["number"], [trial.number for trial in snapshot.front])
    feasible = (states == "complete") & (np.asarray(snapshot.trials["violation"]) <= 0)
    dominated = np.flatnonzero(drawn & feasible & ~members)
    infeasible = np.flatnonzero(drawn & (states != "running") & (states != "failed") & ~feasible)
    front = _place(candidates.of_front(snapshot), x, y, final=False)
    presets = [one for one in candidates.of_presets(snapshot) if _as_searched(snapshot, one, x, y)]
    view = View(
        "search",
        _details(snapshot, x, y),
        front,
        _place(candidates.of_rows(snapshot, thinned(dominated, SHOWN)), x, y, final=False),
        _place(candidates.of_rows(snapshot, thinned(infeasible, SHOWN)), x, y, final=False),
        _place(presets, x, y, final=False),
        _line(snapshot, front, x, y),
        len(dominated),
        len(infeasible),
    )
    return view if any(map(len, (view.front, view.dominated, view.infeasible, view.presets))) else None


def _final(snapshot: Snapshot, x: Axis, y: Axis) -> View | None:
    again = [one for one in candidates.of_front(snapshot) if {x.name, y.name} & set(one.final)]
    presets = [one for one in candidates.of_presets(snapshot) if not _as_searched(snapshot, one, x, y)]
    if x.name == TRIAL or not (again or presets):
        return None
    named = [metric for one in again for metric in one.final.values()]
    named += [one.metrics[name] for one in presets for name in (x.name, y.name) if name in one.metrics]
    details = dict.fromkeys(metric.detail for metric in named if metric.unit == "fraction" and metric.detail)
    none = _place([], x, y, final=True)
    front, reference = _place(again, x, y, final=True), _place(presets, x, y, final=True)
    view = View("final", list(details), front, none, none, reference, (np.empty(0), np.empty(0)))
    return view if len(front) or len(reference) else None


def _place(found: Sequence[Candidate], x: Axis, y: Axis, *, final: bool) -> Points:
    def metrics(candidate: Candidate) -> Mapping[str, Metric]:
        have = {**candidate.metrics, **candidate.final} if final else dict(candidate.metrics)
        if TRIAL in (x.name, y.name) and candidate.number is not None:
            have[TRIAL] = Metric(candidate.number, "", "counted")
        return have

    return place(found, x, y, metrics)


def _as_searched(snapshot: Snapshot, candidate: Candidate, x: Axis, y: Axis) -> bool:
    """Whether a preset's accuracy was taken on what the search took its own on."""
    shown = [candidate.metrics[name] for name in (x.name, y.name) if name in candidate.metrics]
    known = set().union(*(snapshot.details.get(name, set()) for name in (x.name, y.name)))
    return all(metric.unit != "fraction" or not known or metric.detail in known for metric in shown)


def _details(snapshot: Snapshot, x: Axis, y: Axis) -> list[str]:
    accuracies = [name for name in (x.name, y.name) if snapshot.units.get(name) == "fraction"]
    return sorted(detail for name in accuracies for detail in snapshot.details.get(name, set()) if detail)


def _line(snapshot: Snapshot, front: Points, x: Axis, y: Axis) -> tuple[Floats, Floats]:
    """Corners of the staircase; with a third objective the front is no line in this plane."""
    objectives = snapshot.study.objectives
    if len(objectives) > 2 or not len(front):
        return np.empty(0), np.empty(0)
    if x.name == TRIAL:
        return _best_so_far(snapshot, y)
    best = non_dominated(np.column_stack([front.x, front.y]), (x.direction, y.direction))
    order = np.argsort(front.x[best], kind="stable")
    xs, ys = front.x[best][order], front.y[best][order]
    return (xs, ys) if x.direction == "min" else (xs[::-1], ys[::-1])


def _best_so_far(snapshot: Snapshot, y: Axis) -> tuple[Floats, Floats]:
    trials = snapshot.trials
    usable = (trials["state"] == "complete") & (trials["violation"] <= 0) & trials[y.name].notna()
    reached = np.asarray(trials.loc[usable, y.name], dtype=np.float64) * y.scale.factor
    best = np.minimum.accumulate(reached) if y.direction == "min" else np.maximum.accumulate(reached)
    return np.asarray(trials.loc[usable, "number"], dtype=np.float64), best


def thinned(rows: NDArray[Any], limit: int) -> list[int]:
    """At most `limit` of the rows, evenly spread, first and last among them."""
    if len(rows) <= limit:
        return [int(row) for row in rows]
    chosen = np.linspace(0, len(rows) - 1, limit).round().astype(np.int64)
    return [int(row) for row in rows[chosen]]


def _span(views: Sequence[View], axis: int, about: Axis) -> tuple[float, float] | None:
    """What front and presets cover with their intervals, and the middle nine tenths of the cloud.

    Without a front the constraints are of interest, and of trial numbers all are.
    """
    parts: list[Floats] = []
    quantiles = [0.0, 1.0] if about.name == TRIAL else [0.05, 0.95]
    if not any(len(view.front) for view in views):
        parts.append(np.array(about.bounds, dtype=np.float64))
    for view in views:
        for points in (view.front, view.presets):
            values, span = _coordinate(points, axis)
            parts += [values, span[~np.isnan(span)]]
        cloud = np.concatenate([_coordinate(points, axis)[0] for points in (view.dominated, view.infeasible)])
        parts.append(np.quantile(cloud, quantiles) if len(cloud) else cloud)
    seen = np.concatenate(parts) if parts else np.empty(0)
    seen = seen[np.isfinite(seen)]
    if not len(seen):
        return None
    low, high = float(seen.min()), float(seen.max())
    pad = _MARGIN * (high - low) or 0.05 * abs(high) or 1.0
    return low - pad, high + pad


def _coordinate(points: Points, axis: int) -> tuple[Floats, Floats]:
    return (points.y, points.y_span) if axis else (points.x, points.x_span)


def _outside(view: View, x: Axis, y: Axis) -> int:
    count = 0
    for points in (view.front, view.dominated, view.infeasible, view.presets):
        seen = _within(points.x, x) & _within(points.y, y)
        count += int((~seen).sum())
    return count


def _within(values: Floats, axis: Axis) -> NDArray[np.bool_]:
    low, high = axis.span or (-np.inf, np.inf)
    return (values >= low) & (values <= high)


def _provenances(views: Iterable[View], axis: int) -> tuple[str, ...]:
    kinds = [
        pair[axis]
        for view in views
        for points in (view.front, view.dominated, view.infeasible, view.presets)
        for pair in points.provenances
    ]
    return tuple(dict.fromkeys(kinds))
