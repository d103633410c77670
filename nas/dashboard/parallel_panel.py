"""Parallel coordinates with brushes that filter the front."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import partial
from typing import Any

from dash import Dash, Input, Output, State, ctx, dcc, html, no_update

from nas.dashboard import pieces
from nas.dashboard.axes import ARCH, Axis
from nas.dashboard.brushing import brushed, first_keys, keys, parallel_data
from nas.dashboard.drawn import drawing, graph, payload, place
from nas.dashboard.feed import Feed
from nas.dashboard.parallel_figure import AXIS, draw_parallel
from nas.report.units import title


def layout() -> list[Any]:
    """The panel without its numbers."""
    return [
        html.H2("Decisions and metrics"),
        html.P("A line is a trial. Drag along an axis to keep only the trials inside.", className="lead"),
        html.Div(
            [
                dcc.Dropdown(id="axes", multi=True, placeholder="Axes", className="grow"),
                html.Button("Clear brushes", id="clear", className="quiet", type="button"),
            ],
            className="bar",
        ),
        place("parallel", "Parallel coordinates of decisions and metrics"),
        dcc.Store(id="brush", data={}),
        dcc.Store(id="shown", data={}),
    ]


def register(app: Dash, feed: Feed) -> None:
    """Draw the axes; note the brushes."""

    @app.callback(  # type: ignore[untyped-decorator]
        drawing("parallel"),
        Output("axes", "options"),
        Output("axes", "value"),
        Output("shown", "data"),
        Input("seen", "data"),
        Input("axes", "value"),
        Input("clear", "n_clicks"),
        State("brush", "data"),
        State("study", "data"),
    )
    def draw(seen: Any, axes: list[str] | None, _clear: Any, brush: dict[str, Any] | None, name: str) -> Any:
        pieces.await_study(seen, name)
        snapshot = feed.study(name)
        offered = [{"label": called(key), "value": key} for key in keys(snapshot)]
        axes = axes or first_keys(snapshot)
        order = ordered(axes, brush or {})
        ranges = {} if ctx.triggered_id == "clear" else (brush or {}).get("ranges", {})
        data = parallel_data(snapshot, order)
        if not len(data.numbers) or not data.dimensions:
            return None, offered, axes, {}
        shown = {one.key: asdict(one.axis) for one in data.dimensions}
        keep = (
            f"{name} {order} {json.dumps(shown)}"  # else the browser keeps places on an axis that is another
        )
        least = AXIS * len(data.dimensions)
        figure = payload(partial(draw_parallel, data, ranges), keep=keep, least=least)
        return figure, offered, axes, shown

    @app.callback(  # type: ignore[untyped-decorator]
        Output("brush", "data"),
        Input(graph("parallel"), "restyleData"),
        Input("clear", "n_clicks"),
        Input("axes", "value"),
        State("brush", "data"),
        State("shown", "data"),
        prevent_initial_call=True,
    )
    def note(
        change: list[Any] | None,
        _clear: Any,
        axes: list[str] | None,
        brush: dict[str, Any] | None,
        shown: dict[str, dict[str, Any]] | None,
    ) -> Any:
        before = brush or {}
        ranges = before.get("ranges", {})
        order = ordered(axes or [], before)
        if ctx.triggered_id == "clear":
            ranges = {}
        elif ctx.triggered_id != "axes" and change:
            drawn = {key: Axis(**axis) for key, axis in (shown or {}).items()}
            order, ranges = brushed(order, ranges, change[0], drawn)
        now = {"order": order, "ranges": {key: pairs for key, pairs in ranges.items() if key in order}}
        return no_update if now == before else now


def ordered(axes: list[str], brush: dict[str, Any]) -> list[str]:
    """The chosen axes as they stand: in the order they were dragged to, new ones last."""
    before = [key for key in brush.get("order", []) if key in axes]
    return [*before, *(key for key in axes if key not in before)]


def called(key: str) -> str:
    """What an axis is called in the list."""
    return key.removeprefix(ARCH) if key.startswith(ARCH) else title(key)
