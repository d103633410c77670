"""Parallel coordinates of decisions and metrics, and what a brush on them leaves."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.dashboard.axes import ARCH, Axis, End, Ranges, decision_axis, text_of
from nas.report.decisions import decision_data
from nas.report.front import Panel, View, panels
from nas.report.points import Points
from nas.report.snapshot import Snapshot, metric_names
from nas.report.units import scale_for, title

FIRST = 6  # decisions that are shown before anyone chooses

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Dimension:
    """One axis.

    Attributes:
        key: a metric's name, or `arch.DECISION`.
        label: what stands above it, with its unit.
        values: float64 (n,): a metric in shown units; of a decision the position of its value on the axis.
    """

    key: str
    label: str
    values: Floats
    axis: Axis


@dataclass(frozen=True)
class Parallel:
    """n trials on several axes.

    Attributes:
        numbers: int64 (n,), of the trials that have every metric shown.
        colour: position of the dimension that colours the lines, None for none.
    """

    numbers: NDArray[np.int64]
    dimensions: list[Dimension]
    colour: int | None


def keys(snapshot: Snapshot) -> list[str]:
    """Every axis there could be: objectives, other metrics, decisions."""
    wanted = [objective.name for objective in snapshot.study.objectives]
    measured = metric_names(snapshot.trials)
    decisions = [str(column) for column in snapshot.trials if str(column).startswith(ARCH)]
    return [*(n for n in wanted if n in measured), *(n for n in measured if n not in wanted), *decisions]


def first_keys(snapshot: Snapshot) -> list[str]:
    """The axes to begin with: objectives, and the decisions in which the front differs most."""
    found = keys(snapshot)
    wanted = [objective.name for objective in snapshot.study.objectives]
    shown = sorted(decision_data(snapshot).shown, key=lambda one: one.distance, reverse=True)
    telling = {ARCH + one.name for one in shown[:FIRST]}
    return [key for key in found if key in wanted or key in telling]


def parallel_data(snapshot: Snapshot, chosen: Sequence[str]) -> Parallel:
    """The trials along the chosen axes; those the study lacks are left out."""
    known = set(keys(snapshot))
    chosen = [key for key in chosen if key in known]
    trials = snapshot.trials
    metrics = [key for key in chosen if not key.startswith(ARCH)]
    usable = np.isin(trials["state"], ["complete", "infeasible"])
    for key in metrics:
        usable &= np.isfinite(np.asarray(trials[key], dtype=np.float64))
    rows = trials[usable]
    best = {one.name for one in snapshot.study.objectives if one.direction == "max"}
    colours = [index for index, key in enumerate(chosen) if key in best]
    colours += [index for index, key in enumerate(chosen) if key in metrics]
    return Parallel(
        np.asarray(rows["number"], dtype=np.int64),
        [(_decision if key.startswith(ARCH) else _metric)(snapshot, key, rows[key]) for key in chosen],
        colours[0] if colours else None,
    )


def _metric(snapshot: Snapshot, name: str, column: Any) -> Dimension:
    values = np.asarray(column, dtype=np.float64)
    scale = scale_for(snapshot.units.get(name, ""), values)
    called = title(name, snapshot.device(name))
    label = f"{called} ({scale.axis})" if scale.axis else called
    return Dimension(name, label, values * scale.factor, Axis(scale.factor))


def _decision(snapshot: Snapshot, key: str, column: Any) -> Dimension:
    axis = decision_axis(snapshot, key)
    at = {text: float(position) for position, text in enumerate(axis.ticks)}
    places = np.array([at[text_of(value)] for value in column.tolist()], dtype=np.float64)
    return Dimension(key, key.removeprefix(ARCH), places, axis)


def brushed(
    order: Sequence[str], ranges: Ranges, change: Mapping[str, Any], axes: Mapping[str, Axis]
) -> tuple[list[str], dict[str, Any]]:
    """Axes and ranges after what the figure reported (Plotly's `restyleData[0]`).

    Args:
        order: keys of the axes as they stood.
        change: `{"dimensions[2].constraintrange": [[low, high]]}`, null where a brush was removed, or
            `{"dimensions": [[…]]}` after an axis was moved; in shown units or positions.
        axes: as the figure shows them, by key.
    """
    order, found = list(order), {key: list(pairs) for key, pairs in ranges.items()}
    for path, told in change.items():
        if path == "dimensions":
            parts = told[0] if told and isinstance(told[0], list) else told
            order = [part["name"] for part in parts]
            found = {key: _ends(axes, key, part.get("constraintrange")) for key, part in zip(order, parts)}
        elif path.startswith("dimensions[") and path.endswith("].constraintrange"):
            index = int(path.removeprefix("dimensions[").partition("]")[0])
            if index < len(order):
                found[order[index]] = _ends(axes, order[index], told)
    return order, {key: pairs for key, pairs in found.items() if pairs}


def _ends(axes: Mapping[str, Axis], key: str, told: Any) -> list[Sequence[End]]:
    return axes[key].ends(_pairs(told)) if key in axes else []


def _pairs(told: Any) -> list[tuple[float, float]]:
    """`[a, b]`, `[[a, b]]`, `[[[a, b], [c, d]]]` or nothing as a list of pairs."""
    while isinstance(told, list) and len(told) == 1 and told[0] is not None:
        told = told[0]
    if not told or told[0] is None:
        return []
    pairs = told if isinstance(told[0], list) else [told]
    return [(float(low), float(high)) for low, high in pairs]


def kept(snapshot: Snapshot, ranges: Ranges) -> set[int] | None:
    """Numbers of the trials inside every brush; None where there is no brush."""
    data = parallel_data(snapshot, list(ranges))
    if not data.dimensions:
        return None
    mask = np.ones(len(data.numbers), dtype=bool)
    for dimension in data.dimensions:
        inside = [
            (dimension.values >= low) & (dimension.values <= high)
            for low, high in dimension.axis.within(ranges[dimension.key])
        ]
        mask &= np.logical_or.reduce(inside)
    return set(data.numbers[mask].tolist())


def brushed_panels(snapshot: Snapshot, keep: Collection[int] | None) -> list[Panel]:
    """The panels of the front with only the kept trials in them; axes, lines and presets stay."""
    whole = panels(snapshot)
    if keep is None:
        return whole
    inside = np.isin(snapshot.trials["number"], list(keep))
    states = np.where(
        inside, snapshot.trials["state"].to_numpy(dtype=object), "failed"
    )  # which are not drawn
    part = panels(replace(snapshot, trials=snapshot.trials.assign(state=states)))
    return [_kept_panel(panel, other, keep) for panel, other in zip(whole, part)]


def _kept_panel(whole: Panel, part: Panel, keep: Collection[int]) -> Panel:
    clouds = {view.stage: view for view in part.views}
    return replace(whole, views=[_kept_view(view, clouds.get(view.stage), keep) for view in whole.views])


def _kept_view(view: View, part: View | None, keep: Collection[int]) -> View:
    front = view.front.where([candidate.number in keep for candidate in view.front.candidates])
    none = view.dominated.where([False] * len(view.dominated))
    return replace(
        view,
        front=front,
        dominated=part.dominated if part else none,
        infeasible=part.infeasible if part else none,
        dominated_total=part.dominated_total if part else 0,
        infeasible_total=part.infeasible_total if part else 0,
    )


def points_of(view: View) -> list[Points]:
    """Every group of points in a view."""
    return [view.front, view.dominated, view.infeasible, view.presets]
