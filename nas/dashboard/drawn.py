"""Places for figures: the server sends them in light colours, the browser fits them to itself.

A place is a graph and a store beside it. What a callback puts into the store, `assets/dashboard.js`
draws: narrow or wide, light or dark, and again when the window or the colour scheme changes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import plotly.graph_objects as go
from dash import MATCH, ClientsideFunction, Dash, Input, Output, State, dcc, html

from nas.report import style
from nas.report.page import figure_data

_OF, _KIND = "of", "kind"  # one key is matched, the other tells store and graph apart


def place(name: str, label: str) -> html.Div:
    """An empty place.

    Args:
        name: of the place, unique in a page.
        label: what it shows, for those who cannot see it.
    """
    return html.Div(
        [
            dcc.Store(id=_store(name)),
            html.Div(
                dcc.Graph(id=graph(name), figure={}, style={"display": "none"}, responsive=True),
                className="sheet",
                role="img",
                **{"aria-label": label},
            ),
        ],
        className="place",
    )


def graph(name: Any) -> dict[str, Any]:
    """The id of a place's graph."""
    return {_OF: name, _KIND: "graph"}


def _store(name: Any) -> dict[str, Any]:
    return {_OF: name, _KIND: "drawn"}


def drawing(name: str) -> Output:
    """The output that takes a figure for a place."""
    return Output(_store(name), "data")


def payload(draw: Callable[..., go.Figure], *, keep: str = "", least: int = 0) -> dict[str, Any]:
    """A figure for wide and narrow places.

    Args:
        draw: takes `narrow`; the narrow figure only gives its layout.
        keep: zoom is kept while this stays the same.
        least: pixels that it needs; a narrower place scrolls.
    """
    wide, narrow = figure_data(draw(narrow=False)), figure_data(draw(narrow=True))
    return {
        "data": wide["data"],
        "layout": {**wide["layout"], "uirevision": keep},
        "narrow": {**narrow["layout"], "uirevision": keep},
        "least": least,
    }


def register(app: Dash) -> None:
    """Draw whatever is put into any place."""
    app.clientside_callback(
        ClientsideFunction("nas", "draw"),
        Output(graph(MATCH), "figure"),
        Output(graph(MATCH), "config"),
        Output(graph(MATCH), "style"),
        Input(_store(MATCH), "data"),
        Input("look", "data"),
        State(_store(MATCH), "id"),
        State("colours", "data"),
    )


def stores() -> list[dcc.Store]:
    """What the drawing reads: how the window looks, and the dark partner of every colour."""
    return [dcc.Store(id="look", data=0), dcc.Store(id="colours", data=style.DARK)]
