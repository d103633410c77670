"""Pieces of the pages. Text is given to the browser as text, never as HTML."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qs, quote

from dash import dcc, html
from dash.exceptions import PreventUpdate

from nas.dashboard.drawn import place
from nas.report.candidates import Candidate
from nas.report.words import metric_lines

_TERMS = (html.Dt, html.Dd)
CAPTIONS = {
    "running": "running",
    "finished": "finished",
    "interrupted": "interrupted",
    "failed": "failed",
    "lost": "lost",
}


def address(study: str) -> str:
    """Where the page of a study is."""
    return f"/?study={quote(study, safe='')}"


def study_in(search: str | None) -> str | None:
    """The study that an address asks for; None: the list."""
    return parse_qs((search or "").removeprefix("?")).get("study", [None])[0]


def await_study(seen: Any, name: str) -> None:
    """Leave a panel as it is until the mark of what was seen is that of its study."""
    if not seen or seen[0] != name:
        raise PreventUpdate


def state(name: str) -> html.Span:
    """A study's state."""
    return html.Span(name, className=f"state {CAPTIONS.get(name, '')}")


def figures(facts: Sequence[tuple[str, str, str]]) -> html.Dl:
    """Large numbers: (name, number, what else)."""
    return html.Dl(
        [html.Div([html.Dt(name), html.Dd([value, html.Small(f" {more}")])]) for name, value, more in facts],
        className="figures",
    )


def section(slug: str, heading: str, *children: object, lead: str = "") -> html.Section:
    """A section of a page."""
    said = [html.P(lead, className="lead", id=f"{slug}-lead")]
    return html.Section([html.H2(heading), *said, *children], id=slug)


def plots(*named: tuple[str, str], wide: Sequence[str] = ()) -> html.Div:
    """Places beside each other: (name, label); those named in `wide` take a row of their own."""
    return html.Div(
        [html.Figure(place(name, label), className="wide" if name in wide else "") for name, label in named],
        className="plots",
    )


def link(text: str, to: str) -> dcc.Link:
    """A link inside the dashboard."""
    return dcc.Link(text, href=to)


def commands(lines: Sequence[str]) -> list[html.Pre]:
    """Commands to copy."""
    return [html.Pre(line, className="command") for line in lines]


def metrics(candidate: Candidate) -> html.Dl:
    """Every metric of an architecture, with interval and provenance."""
    return html.Dl([part(text) for line in metric_lines(candidate) for part, text in zip(_TERMS, line)])
