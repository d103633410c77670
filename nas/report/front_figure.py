"""Drawing the Pareto front."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go

from nas.report import style
from nas.report.front import TRIAL, Panel, View
from nas.report.labels import label_sides
from nas.report.points import Axis, Floats, Points
from nas.report.words import hover, plain

_SYMBOLS = ("circle", "square", "triangle-up", "star", "hexagon", "cross")


def draw_view(panel: Panel, view: View, *, narrow: bool = False) -> go.Figure:
    """One view of a pair of objectives: cloud, front with its intervals, presets.

    Numbers of different provenance have different symbols and their own line in the legend.
    """
    figure = style.figure(460 if narrow else 480)
    _cloud(figure, panel, view.infeasible, "Violates a constraint", style.INFEASIBLE, "x-thin")
    single = panel.x.name == TRIAL
    _cloud(figure, panel, view.dominated, "Not the best" if single else "Dominated", style.CLOUD, "circle")
    _staircase(figure, panel, view)
    within = [candidate.cheaper is not None for candidate in view.front.candidates]
    _front(
        figure,
        panel,
        view.front.where([not mark for mark in within]),
        "Best" if single else "Pareto front",
        hollow=False,
    )
    _front(figure, panel, view.front.where(within), "≈ a cheaper point", hollow=True)
    _presets(figure, panel, view)
    for bound in panel.x.bounds:
        figure.add_vline(bound, line={"color": style.INFEASIBLE, "width": 1, "dash": "dash"})
    for bound in panel.y.bounds:
        figure.add_hline(bound, line={"color": style.INFEASIBLE, "width": 1, "dash": "dash"})
    figure.update_layout(showlegend=True)
    figure.update_xaxes(title_text=axis_title(panel.x), range=panel.x.span)
    figure.update_yaxes(title_text=axis_title(panel.y), range=panel.y.span)
    return figure


def axis_title(axis: Axis) -> str:
    """`"Latency on pixel6 (ms, predicted)"`."""
    provenance = " or ".join(axis.provenances) if axis.provenances != ("counted",) else ""
    facts = ", ".join(part for part in (axis.scale.axis, provenance) if part)
    return plain(f"{axis.title} ({facts})" if facts else axis.title)


def _cloud(figure: go.Figure, panel: Panel, points: Points, name: str, colour: str, symbol: str) -> None:
    for part, label, variant in _by_provenance(panel, points, name, symbol):
        marker: dict[str, Any] = {"size": 6, "color": colour, "symbol": variant, "opacity": 0.75}
        if variant == "x-thin":
            marker["line"] = {"width": 1.5, "color": colour}
        figure.add_trace(_scatter(part, label, mode="markers", marker=marker))


def _staircase(figure: go.Figure, panel: Panel, view: View) -> None:
    xs, ys = view.line
    if len(xs) < 2:
        return
    line = {"color": style.FRONT, "width": 1.5, "shape": "hv"}
    figure.add_trace(go.Scatter(x=xs, y=ys, mode="lines", line=line, hoverinfo="skip", showlegend=False))


def _front(figure: go.Figure, panel: Panel, points: Points, name: str, *, hollow: bool) -> None:
    for part, label, symbol in _by_provenance(panel, points, name, "circle"):
        marker = {
            "size": 9,
            "symbol": symbol,
            "color": style.PAPER if hollow else style.FRONT,
            "line": {"width": 2 if hollow else 1, "color": style.FRONT if hollow else style.PAPER},
        }
        bars = _bars(part, style.FRONT_SOFT)
        figure.add_trace(_scatter(part, label, mode="markers", marker=marker, **bars))


def _presets(figure: go.Figure, panel: Panel, view: View) -> None:
    front = _relative(panel, view.front)
    for part, label, symbol in _by_provenance(panel, view.presets, "Presets", "diamond"):
        marker = {
            "size": 9,
            "symbol": symbol,
            "color": style.PRESET,
            "line": {"width": 1, "color": style.PAPER},
        }
        names = [plain(candidate.name) for candidate in part.candidates]
        figure.add_trace(
            _scatter(
                part,
                label,
                mode="markers+text",
                marker=marker,
                text=names,
                textposition=label_sides(_relative(panel, part), names, front),
                textfont={"size": 11, "color": style.PRESET},
                **_bars(part, style.PRESET_SOFT),
            )
        )


def _relative(panel: Panel, points: Points) -> Floats:
    """float (n, 2): where points lie in the plot, 0 … 1."""
    spans = [panel.x.span or (0.0, 1.0), panel.y.span or (0.0, 1.0)]
    parts = [(values - low) / (high - low) for values, (low, high) in zip((points.x, points.y), spans)]
    return np.column_stack(parts)


def _scatter(points: Points, name: str, **looks: Any) -> go.Scatter:
    texts = [hover(candidate) for candidate in points.candidates]
    return go.Scatter(x=points.x, y=points.y, name=name, hovertext=texts, hoverinfo="text", **looks)


def _by_provenance(panel: Panel, points: Points, name: str, symbol: str) -> list[tuple[Points, str, str]]:
    """The points by how their numbers were obtained: (points, label, symbol)."""
    if not len(points):
        return []
    if not panel.mixed:
        return [(points, name, symbol)]
    parts = []
    for pair in dict.fromkeys(points.provenances):
        part = points.where([one == pair for one in points.provenances])
        kinds = zip(pair, (panel.x, panel.y))
        told = [f"{axis.title} {kind}" for kind, axis in kinds if len(axis.provenances) > 1]
        parts.append((part, plain(f"{name} ({', '.join(told)})"), _symbol(panel, pair)))
    return parts


def _symbol(panel: Panel, pair: tuple[str, str]) -> str:
    kinds = [(x, y) for x in panel.x.provenances for y in panel.y.provenances]
    return _SYMBOLS[kinds.index(pair) % len(_SYMBOLS)]


def _bars(points: Points, colour: str) -> dict[str, Any]:
    return {
        name: _bar(values, span, colour)
        for name, values, span in (("error_x", points.x, points.x_span), ("error_y", points.y, points.y_span))
        if np.isfinite(span).any()
    }


def _bar(values: Floats, span: Floats, colour: str) -> dict[str, Any]:
    return {
        "type": "data",
        "symmetric": False,
        "array": np.nan_to_num(span[:, 1] - values),
        "arrayminus": np.nan_to_num(values - span[:, 0]),
        "color": colour,
        "thickness": 1.2,
        "width": 0,
    }
