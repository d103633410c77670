"""Drawing parallel coordinates."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from nas.dashboard.axes import Ranges
from nas.dashboard.brushing import Dimension, Parallel
from nas.report import style
from nas.report.words import plain

AXIS = 76  # pixels that an axis needs to be read
_TICKS = 12
_LONGEST = 22


def draw_parallel(data: Parallel, ranges: Ranges, *, narrow: bool = False) -> go.Figure:
    """A line for each trial, coloured by what is maximised; brushes stay where they were."""
    figure = style.figure(320 if narrow else 340)
    line: dict[str, Any] = {"color": style.FRONT}
    if data.colour is not None:
        scale = [[i / (len(style.ORDERED) - 1), colour] for i, colour in enumerate(style.ORDERED)]
        line = {"color": data.dimensions[data.colour].values, "colorscale": scale}
    figure.add_trace(
        go.Parcoords(
            dimensions=[_axis(one, ranges) for one in data.dimensions],
            line=line,
            unselected={"line": {"color": style.LINE, "opacity": 0.25}},
            labelfont={"size": 12, "color": style.TEXT},
            tickfont={"size": 11, "color": style.MUTED},
            rangefont={"size": 1, "color": "rgba(0,0,0,0)"},
            labelangle=-20,
            labelside="top",
        )
    )
    figure.update_layout(margin={"l": 72, "r": 48, "t": 84, "b": 18})
    return figure


def _axis(one: Dimension, ranges: Ranges) -> dict[str, Any]:
    axis: dict[str, Any] = {"name": one.key, "label": plain(_short(one.label)), "values": one.values}
    ticks = one.axis.ticks
    if ticks:
        step = -(-len(ticks) // _TICKS)
        axis["tickvals"] = list(range(0, len(ticks), step))
        axis["ticktext"] = [_short(text) for text in ticks[::step]]  # which are not read as HTML
        axis["range"] = [-0.25, len(ticks) - 0.75]
    if one.key in ranges:
        pairs = one.axis.pairs(ranges[one.key])
        axis["constraintrange"] = pairs[0] if len(pairs) == 1 else pairs
    return axis


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
