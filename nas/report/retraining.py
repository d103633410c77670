"""How retrained networks learnt: loss and learning rate of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from nas.report import style
from nas.report.front import SHOWN, thinned
from nas.report.snapshot import Snapshot
from nas.report.training import Floats, Line, line_of
from nas.report.words import plain


@dataclass(frozen=True)
class Retraining:
    """The course of one network's training.

    Attributes:
        arch_id: of the network.
        line: its loss; steps that were not applied are left out.
        steps: int64 (n,) and `rates` float64 (n,): the learning rate.
    """

    arch_id: str
    line: Line
    steps: NDArray[np.int64]
    rates: Floats


def retraining_data(snapshot: Snapshot) -> list[Retraining]:
    """Every network that was retrained, finished or not, by its id."""
    found = []
    for arch_id, points in sorted(snapshot.retrainings.items()):
        applied = [(step, float(data["loss"])) for step, data in points if not data.get("skipped")]
        rates = np.array([data["lr"] for _, data in points], dtype=np.float64)
        steps = np.array([step for step, _ in points], dtype=np.int64)
        found.append(Retraining(arch_id, line_of(None, applied), steps, rates))
    return found


def draw_retraining_loss(data: list[Retraining], *, narrow: bool = False) -> go.Figure:
    """A smoothed line for each network."""
    figure = _figure(data, lambda one: (one.line.steps, one.line.smooth), "loss", 420 if narrow else 360)
    figure.update_yaxes(title_text="Training loss, smoothed")
    return figure


def draw_retraining_rate(data: list[Retraining], *, narrow: bool = False) -> go.Figure:
    """The learning rate of each network over its steps."""
    figure = _figure(data, lambda one: (one.steps, one.rates), "learning rate", 260 if narrow else 220)
    figure.update_yaxes(title_text="Learning rate", rangemode="tozero", exponentformat="power")
    return figure


def _figure(
    data: list[Retraining],
    of: Callable[[Retraining], tuple[NDArray[np.int64], Floats]],
    what: str,
    height: int,
) -> go.Figure:
    figure = style.figure(height)
    for one, colour in zip(data, style.ordered(len(data)), strict=True):
        steps, values = of(one)
        rows = thinned(np.arange(len(steps)), SHOWN)
        figure.add_trace(
            go.Scatter(
                x=steps[rows],
                y=values[rows],
                mode="lines" if len(rows) > 1 else "markers",
                name=plain(one.arch_id),
                line={"color": colour, "width": 2},
                hovertext=[
                    f"{plain(one.arch_id)}<br>step {step:,}<br>{what} {value:.3g}"
                    for step, value in zip(steps[rows], values[rows], strict=True)
                ],
                hoverinfo="text",
            )
        )
    figure.update_layout(showlegend=True)
    figure.update_xaxes(title_text="Step")
    return figure
