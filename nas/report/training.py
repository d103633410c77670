"""How the supernet learnt: loss by level of MACs, and the learning rate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from nas.report import style
from nas.report.front import SHOWN, thinned
from nas.report.snapshot import Snapshot
from nas.report.units import quantity

MINIMUM = "minimum"
_DRAWN = 300  # points of a line
_SPAN = 0.1  # of a line's points: the time constant of its smoothing

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Line:
    """Loss of one group of subnets.

    Attributes:
        level: MACs of the level they were drawn at; None where the sampler has no levels.
        steps: int64 (n,).
        loss: float64 (n,), mean over the step's sampled subnets, the minimum one left out.
        smooth: float64 (n,), its exponential moving average.
    """

    level: float | None
    steps: NDArray[np.int64]
    loss: Floats
    smooth: Floats


@dataclass(frozen=True)
class Training:
    """The course of a training.

    Attributes:
        lines: one for each level, least MACs first.
        minimum: the minimum subnets, which learn from the others; None where there were none.
        steps: int64 (n,) and `rates` float64 (n,): the learning rate.
        skipped: steps that were not applied.
        wall_s: seconds until the last step, NaN if unknown.
    """

    lines: list[Line]
    minimum: Line | None
    steps: NDArray[np.int64]
    rates: Floats
    skipped: int
    wall_s: float


def training_data(snapshot: Snapshot) -> Training:
    """The recorded steps, by level; skipped steps count but have no loss."""
    points = snapshot.series["train"]
    applied = [(step, data) for step, data in points if not data.get("skipped")]
    levels = sorted(
        {data.get("level") for _, data in applied}, key=lambda level: -1 if level is None else level
    )
    lines = [
        line_of(level, [(step, _sampled(data)) for step, data in applied if data.get("level") == level])
        for level in levels
    ]
    minimum = line_of(None, [(step, _role(data, MINIMUM)) for step, data in applied])
    rated = [(step, data["lr"]) for step, data in points if data.get("lr") is not None]
    walls = [data["wall_s"] for _, data in points if data.get("wall_s") is not None]
    return Training(
        [line for line in lines if len(line.steps)],
        minimum if len(minimum.steps) else None,
        np.array([step for step, _ in rated], dtype=np.int64),
        np.array([rate for _, rate in rated], dtype=np.float64),
        len(points) - len(applied),
        float(max(walls)) if walls else float("nan"),
    )


def smoothed(values: Floats, span: float) -> Floats:
    """Exponential moving average with a time constant of `span` points, unbiased from the first."""
    decay = np.exp(-1.0 / max(span, 1e-9))
    total, weight = 0.0, 0.0
    means = np.empty(len(values))
    for index, value in enumerate(values.tolist()):
        total, weight = decay * total + value, decay * weight + 1.0
        means[index] = total / weight
    return means


def line_of(level: float | None, points: Sequence[tuple[int, float]]) -> Line:
    """The line through (step, loss); losses that are no numbers are left out."""
    finite = [(step, loss) for step, loss in points if np.isfinite(loss)]
    loss = np.array([loss for _, loss in finite], dtype=np.float64)
    steps = np.array([step for step, _ in finite], dtype=np.int64)
    return Line(level, steps, loss, smoothed(loss, max(2.0, _SPAN * len(loss))))


def _sampled(data: dict[str, Any]) -> float:
    """Mean loss of a step's subnets other than the minimum one."""
    losses, roles = data.get("losses") or [], data.get("roles") or []
    others = [loss for loss, role in zip(losses, roles) if role != MINIMUM]
    return _mean(others or [data.get("loss")])


def _role(data: dict[str, Any], wanted: str) -> float:
    return _mean(
        [loss for loss, role in zip(data.get("losses") or [], data.get("roles") or []) if role == wanted]
    )


def _mean(losses: Sequence[float | None]) -> float:
    known = [loss for loss in losses if loss is not None]
    return float(np.mean(known)) if known else float("nan")


def draw_loss(data: Training, *, narrow: bool = False) -> go.Figure:
    """A smoothed line for each level, few MACs dark and many bright; dotted the minimum subnets."""
    figure = style.figure(460 if narrow else 400)
    for line, colour in zip(data.lines, style.ordered(len(data.lines))):
        name = "all subnets" if line.level is None else quantity(line.level, "MACs")
        _add(figure, line, name.removesuffix(" MACs"), {"color": colour, "width": 2})
    if data.minimum is not None:
        _add(figure, data.minimum, "minimum", {"color": style.MUTED, "width": 1.5, "dash": "dot"})
    if any(line.level is not None for line in data.lines):
        figure.update_layout(legend_title_text="MACs level")
    beside = {"orientation": "v", "x": 1.02, "y": 1, "yanchor": "top"}
    figure.update_layout(legend={"entrywidth": 64} if narrow else beside)
    figure.update_xaxes(title_text="Step")
    figure.update_yaxes(title_text="Training loss, smoothed")
    return figure


def _add(figure: go.Figure, line: Line, name: str, look: dict[str, Any]) -> None:
    rows = thinned(np.arange(len(line.steps)), _DRAWN)
    texts = [
        f"{name}<br>step {step:,}<br>loss {loss:.3f}"
        for step, loss in zip(line.steps[rows], line.smooth[rows])
    ]
    mode = "lines" if len(rows) > 1 else "markers"
    figure.add_trace(
        go.Scatter(
            x=line.steps[rows],
            y=line.smooth[rows],
            mode=mode,
            name=name,
            line=look,
            hovertext=texts,
            hoverinfo="text",
        )
    )


def draw_rate(data: Training, *, narrow: bool = False) -> go.Figure:
    """The learning rate over the steps."""
    figure = style.figure(220)
    rows = thinned(np.arange(len(data.steps)), SHOWN)
    texts = [
        f"step {step:,}<br>learning rate {rate:.3g}" for step, rate in zip(data.steps[rows], data.rates[rows])
    ]
    figure.add_trace(
        go.Scatter(
            x=data.steps[rows],
            y=data.rates[rows],
            mode="lines" if len(rows) > 1 else "markers",
            line={"color": style.FRONT, "width": 2},
            hovertext=texts,
            hoverinfo="text",
            showlegend=False,
        )
    )
    figure.update_xaxes(title_text="Step")
    figure.update_yaxes(title_text="Learning rate", rangemode="tozero", exponentformat="power")
    return figure
