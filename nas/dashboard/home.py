"""The list of studies, and the fronts of several over each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from dash import Dash, Input, Output, State, dcc, html, no_update

from nas.dashboard import pieces
from nas.dashboard.drawn import drawing, payload, place
from nas.dashboard.feed import Feed, Listed
from nas.errors import NasError
from nas.report.overlay import Outline, Overlay
from nas.report.units import exact, significant, title

MOST = 12  # studies that are compared before anyone chooses


def layout(url: str) -> list[Any]:
    """The page without its numbers."""
    return [
        html.Header(
            [html.P("nas dashboard", className="kind"), html.H1("Studies"), html.P(url, className="meta")]
        ),
        html.Section(html.Div(id="studies"), className="first"),
        pieces.section(
            "compare",
            "Fronts over each other",
            html.Div(
                dcc.Dropdown(id="compared", multi=True, placeholder="Studies to compare", className="grow"),
                className="bar",
            ),
            html.P(id="compare-note", className="note"),
            place("overlay", "Fronts of the chosen studies over each other"),
            html.Div(id="volumes"),
            lead="Studies with the same kinds of objectives, also on different devices. Each line is a front.",
        ),
    ]


def register(app: Dash, feed: Feed) -> None:
    """Keep the page up to date."""

    @app.callback(  # type: ignore[untyped-decorator]
        Output("studies", "children"),
        Output("compared", "options"),
        Output("compared", "value"),
        Input("seen", "data"),
        State("compared", "value"),
    )
    def listing(_seen: Any, chosen: list[str] | None) -> Any:
        listed = feed.listing()
        names = [one.study.name for one in listed]
        return table(listed), names, no_update if chosen is not None else comparable(listed)

    @app.callback(  # type: ignore[untyped-decorator]
        drawing("overlay"),
        Output("compare-note", "children"),
        Output("volumes", "children"),
        Input("compared", "value"),
        Input("seen", "data"),
    )
    def compare(names: list[str] | None, _seen: Any) -> Any:
        from nas.report.overlay import overlay
        from nas.report.overlay_figure import draw_overlay

        if not names:
            return None, "Choose studies to compare.", []
        try:
            found = overlay(feed.fronts, names)
        except NasError as error:
            return None, str(error), []
        drawn = payload(lambda narrow: draw_overlay(found), keep="|".join(sorted(names)))
        return drawn, "", volumes(found)


def comparable(listed: Sequence[Listed]) -> list[str]:
    """The studies to begin with: those that can be compared with the one that changed last."""
    kinds = [[(o.name.partition("@")[0], o.direction) for o in one.study.objectives] for one in listed]
    same = [one for one, kind in zip(listed, kinds) if kind == kinds[0] and one.front]
    return [one.study.name for one in same[:MOST]]


def table(listed: Sequence[Listed]) -> Any:
    """Every study in a row."""
    if not listed:
        return html.P("There is no study in this storage yet; nas run SPACE starts one.", className="lead")
    heads = ["Study", "State", "Trials", "Front", "Hypervolume", "Objectives", "Space", "Last change"]
    numeric = {"Trials", "Front", "Hypervolume"}
    top = [html.Th(head, className="number" if head in numeric else "") for head in heads]
    body = html.Tbody([_row(one) for one in listed])
    return html.Div(html.Table([html.Thead(html.Tr(top)), body]), className="scroll", tabIndex=0)


def _row(one: Listed) -> html.Tr:
    study = one.study
    wanted = ", ".join(f"{objective.name} {objective.direction}" for objective in study.objectives)
    volume = "–" if one.hypervolume is None else significant(one.hypervolume, 4)
    return html.Tr(
        [
            html.Td(pieces.link(study.name, pieces.address(study.name)), className="name"),
            html.Td(pieces.state(study.state)),
            html.Td(f"{study.n_trials:,}", className="number"),
            html.Td(f"{one.front:,}", className="number"),
            html.Td(volume, className="number"),
            html.Td(wanted, className="name"),
            html.Td(study.space, className="name"),
            html.Td(f"{study.updated:%Y-%m-%d %H:%M} UTC"),
        ]
    )


def volumes(found: Overlay) -> list[Any]:
    """Hypervolumes of the compared fronts against their common reference point."""
    corner = ", ".join(
        f"{title(objective.name)} {exact(value, objective.unit)}"
        for objective, value in zip(found.objectives, found.reference)
        if value == value
    )
    if not corner:
        return [html.P("None of these studies has a reference point yet.", className="note")]
    rows = sorted(found.outlines, key=lambda one: -np.nan_to_num(one.hypervolume))
    cells = [_volume(one) for one in rows]
    top = [html.Th("Study"), html.Th("Hypervolume", className="number"), html.Th("Front", className="number")]
    return [
        html.P(f"Against {corner}, the worst of all their reference points.", className="note"),
        html.Div(html.Table([html.Thead(html.Tr(top)), html.Tbody(cells)]), className="scroll", tabIndex=0),
    ]


def _volume(one: Outline) -> html.Tr:
    volume = significant(one.hypervolume, 4) if one.hypervolume == one.hypervolume else "–"
    return html.Tr(
        [
            html.Td(pieces.link(one.study, pieces.address(one.study)), className="name"),
            html.Td(volume, className="number"),
            html.Td(f"{len(one.arch_ids):,}", className="number"),
        ]
    )
