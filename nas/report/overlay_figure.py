"""Drawing the fronts of several studies over each other."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from nas.report import style
from nas.report.overlay import Outline, Overlay
from nas.report.words import plain

_DASHES = ("solid", "dash", "dot", "dashdot")


def draw_overlay(found: Overlay) -> go.Figure:
    """One line per study: the corners of what its front reaches."""
    figure = style.figure(520)
    for outline, colour, dash in zip(found.outlines, style.ordered(len(found.outlines)), _cycle(found)):
        figure.add_trace(_line(found, outline, colour, dash))
    titles, axes = found.titles(), [scale.axis for scale in found.scales]
    named = [plain(f"{title} ({axis})" if axis else title) for title, axis in zip(titles, axes)]
    figure.update_layout(showlegend=True)
    figure.update_xaxes(title_text=named[found.x])
    figure.update_yaxes(title_text=named[found.y])
    return figure


def _line(found: Overlay, outline: Outline, colour: str, dash: str) -> go.Scatter:
    x = outline.values[:, found.x] * found.scales[found.x].factor
    y = outline.values[:, found.y] * found.scales[found.y].factor
    order = np.argsort(x, kind="stable")
    volume = "" if np.isnan(outline.hypervolume) else f"<br>hypervolume {outline.hypervolume:.6g}"
    texts = [plain(f"{outline.study}: {arch_id}") + volume for arch_id in outline.arch_ids]
    return go.Scatter(
        x=x[order],
        y=y[order],
        name=plain(outline.study),
        mode="lines+markers",
        line={"color": colour, "shape": "hv", "width": 1.5, "dash": dash},
        marker={"size": 6, "color": colour},
        hovertext=[texts[i] for i in order],
        hoverinfo="text",
    )


def _cycle(found: Overlay) -> list[str]:
    return [_DASHES[i % len(_DASHES)] for i in range(len(found.outlines))]
