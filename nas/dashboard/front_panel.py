"""The Pareto front of a study, live."""

from __future__ import annotations

from functools import partial
from typing import Any

from dash import Dash, Input, Output, State, dcc, html

from nas.dashboard import pieces
from nas.dashboard.brushing import brushed_panels, kept
from nas.dashboard.choice import clickable
from nas.dashboard.devices import by_device
from nas.dashboard.drawn import drawing, payload, place
from nas.dashboard.feed import Feed
from nas.report.front import Panel, View
from nas.report.front_figure import draw_view
from nas.report.overlay_figure import draw_overlay
from nas.report.snapshot import Snapshot

_STAGES = {"search": "during the search", "final": "final evaluation"}


def layout() -> list[Any]:
    """The panel without its numbers."""
    return [
        html.H2("Pareto front", id="front-heading"),
        html.Div(
            dcc.RadioItems(id="view", options=[], inline=True, labelClassName="choice"),
            id="views",
            className="bar",
        ),
        place("front", "Pareto front"),
        html.P(id="front-note", className="note"),
        html.Div(
            [
                html.H3("On each device"),
                place("devices", "What the front reaches on each device"),
                html.P("Front members that no other beats on that device.", className="note"),
            ],
            id="devices",
            hidden=True,
        ),
    ]


def register(app: Dash, feed: Feed) -> None:
    """Draw the chosen view, with what the brushes leave."""

    @app.callback(  # type: ignore[untyped-decorator]
        drawing("front"),
        Output("front-note", "children"),
        Output("view", "options"),
        Output("view", "value"),
        Output("views", "hidden"),
        Input("seen", "data"),
        Input("brush", "data"),
        Input("view", "value"),
        State("study", "data"),
    )
    def draw(seen: Any, brush: dict[str, Any] | None, chosen: str | None, name: str) -> Any:
        pieces.await_study(seen, name)
        snapshot = feed.study(name)
        keep = kept(snapshot, (brush or {}).get("ranges", {}))
        found = views(brushed_panels(snapshot, keep))
        if not found:
            return None, "No trial has a value for the objectives yet.", [], None, True
        label = chosen if chosen in found else next(iter(found))
        panel, view = found[label]
        figure = payload(partial(_draw, panel, view), keep=f"{name} {label} {snapshot.study.epoch}")
        offered = [{"label": each, "value": each} for each in found]
        return figure, note(snapshot, view, keep), offered, label, len(found) < 2

    @app.callback(  # type: ignore[untyped-decorator]
        drawing("devices"), Output("devices", "hidden"), Input("seen", "data"), State("study", "data")
    )
    def together(seen: Any, name: str) -> Any:
        pieces.await_study(seen, name)
        found = by_device(feed.study(name))
        return payload(lambda narrow: draw_overlay(found), keep=name) if found else None, found is None


def _draw(panel: Panel, view: View, *, narrow: bool) -> Any:
    figure = draw_view(panel, view, narrow=narrow)
    return figure if narrow else clickable(figure, view)  # the narrow one gives its layout only


def views(found: list[Panel]) -> dict[str, tuple[Panel, View]]:
    """Every view by what it is called."""
    axes = {(panel.x.name, panel.y.name) for panel in found}
    same = len({panel.y.name for panel in found}) == 1
    named: dict[str, tuple[Panel, View]] = {}
    for panel in found:
        for view in panel.views:
            stage = _STAGES[view.stage]
            about = panel.x.title if same else f"{panel.y.title} – {panel.x.title}"
            label = f"{about}, {stage}" if len(axes) > 1 else stage.capitalize()
            named[label] = (panel, view)
    return named


def note(snapshot: Snapshot, view: View, keep: set[int] | None) -> str:
    """What a reader of the figure has to know."""
    told = []
    if keep is not None:
        told.append(f"{len(keep):,} of {len(snapshot.trials):,} trials are inside the brushes.")
    if view.details:
        told.append(f"Accuracy: {'; '.join(view.details)}.")
    for points, total, kind in (
        (view.dominated, view.dominated_total, "dominated"),
        (view.infeasible, view.infeasible_total, "infeasible"),
    ):
        if len(points) < total:
            told.append(f"{len(points):,} of {total:,} {kind} trials are drawn.")
    told.append("Click a point to see its network.")
    return " ".join(told)
