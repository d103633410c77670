"""Drawing the fronts of several studies over each other."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from nas.report import style
from nas.report.overlay import Outline, Overlay
from nas.report.words import plain

_DASHES = ("solid", "dash", "dot", "dashdot")
_SYMBOLS = ("circle", "diamond", "square", "triangle-up")


def draw_overlay(found: Overlay) -> go.Figure:
    """One line per study: the corners of what its front reaches; points where more than two objectives have no line."""
    figure = style.figure(520)
    for number, (outline, colour) in enumerate(zip(found.outlines, style.ordered(len(found.outlines)))):
        figure.add_trace(_line(found, outline, colour, number))
    titles, axes = found.titles(), [scale.axis for scale in found.scales]
    named = [plain(f"{title} ({axis})" if axis else title) for title, axis in zip(titles, axes)]
    figure.update_layout(showlegend=True)
    figure.update_xaxes(title_text=named[found.x])
    figure.update_yaxes(title_text=named[found.y])
    return figure


def _line(found: Overlay, outline: Outline, colour: str, number: int) -> go.Scatter:
    x = outline.values[:, found.x] * found.scales[found.x].factor
    y = outline.values[:, found.y] * found.scales[found.y].factor
    order = np.argsort(x, kind="stable")
    volume = "" if np.isnan(outline.hypervolume) else f"<br>hypervolume {outline.hypervolume:.6g}"
    texts = [plain(f"{outline.study}: {arch_id}") + volume for arch_id in outline.arch_ids]
    return go.Scatter(
        x=x[order],
        y=y[order],
        name=plain(outline.study),
        mode="lines+markers" if len(found.objectives) <= 2 else "markers",
        line={"color": colour, "shape": "hv", "width": 1.5, "dash": _DASHES[number % len(_DASHES)]},
        marker={"size": 6, "color": colour, "symbol": _SYMBOLS[number % len(_SYMBOLS)]},
        hovertext=[texts[i] for i in order],
        hoverinfo="text",
    )
