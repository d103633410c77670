"""The dashboard as a Dash application."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html, no_update

from nas.dashboard import (
    drawn,
    front_panel,
    history_panels,
    home,
    network_panel,
    parallel_panel,
    strategy_panels,
    study_page,
)
from nas.dashboard.feed import Feed
from nas.dashboard.finding import Finder
from nas.dashboard.pieces import study_in
from nas.errors import NasError
from nas.store import Storage, StudyRow

POLL_S = 2.0

_INDEX = """<!doctype html>
<html lang="en">
<head>
{%metas%}
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{%title%}</title>
<link rel="icon" href="data:,">
<style>$css</style>
{%css%}
</head>
<body>
{%app_entry%}
{%config%}{%scripts%}{%renderer%}
</body>
</html>"""


def make_app(
    storage: Storage, *, named: str | None = None, spaces: Sequence[Path] = (), poll_s: float = POLL_S
) -> Dash:
    """The dashboard of a storage.

    Args:
        storage: opened for reading only.
        named: the storage's URL where commands must name it; None where it is the default one.
        spaces: files of spaces that are not found by name.
        poll_s: seconds between two looks at the storage.
    """
    report_css = (resources.files("nas.report") / "static" / "report.css").read_text(encoding="utf-8")
    app = Dash(
        __name__,
        title="nas dashboard",
        update_title=None,
        serve_locally=True,
        suppress_callback_exceptions=True,
        index_string=Template(_INDEX).substitute(css=report_css),
        assets_folder=str(Path(__file__).with_name("assets")),
        include_pages_meta=False,
    )
    feed, finder = Feed(storage), Finder(spaces)
    app.layout = _frame(poll_s)
    _register(app, feed)
    drawn.register(app)
    home.register(app, feed)
    study_page.register(app, feed, finder, named)
    front_panel.register(app, feed)
    parallel_panel.register(app, feed)
    network_panel.register(app, feed, finder, named)
    strategy_panels.register(app, feed)
    history_panels.register(app, feed)
    _guard(app)
    return app


def _frame(poll_s: float) -> html.Div:
    return html.Div(
        [
            dcc.Location(id="at", refresh="callback-nav"),
            dcc.Interval(id="clock", interval=round(1000 * poll_s)),
            dcc.Store(id="seen"),
            dcc.Store(id="title"),
            *drawn.stores(),
            html.Div(id="trouble", className="trouble", role="status"),
            html.Main(id="page"),
        ]
    )


def _register(app: Dash, feed: Feed) -> None:
    @app.callback(Output("page", "children"), Input("at", "search"))  # type: ignore[untyped-decorator]
    def show(search: str | None) -> Any:
        name = study_in(search)
        if name is None:
            return home.layout(feed.storage.url)
        return study_page.layout(name)

    @app.callback(  # type: ignore[untyped-decorator]
        Output("seen", "data"),
        Output("trouble", "children"),
        Input("clock", "n_intervals"),
        Input("at", "search"),
        State("seen", "data"),
    )
    def look(_ticks: int | None, search: str | None, seen: Any) -> Any:
        try:
            now = _mark(feed, study_in(search))
        except NasError as error:
            return no_update, str(error)
        return (no_update if now == seen else now), ""

    app.clientside_callback(
        ClientsideFunction("nas", "title"), Output("title", "data"), Input("at", "search")
    )


def _mark(feed: Feed, name: str | None) -> list[Any]:
    """Changes whenever there is something new to draw."""
    if name is None:
        return [[one.study.name, *_state(one.study)] for one in feed.listing()]
    study = feed.study(name).study
    return [study.name, *_state(study)]


def _state(study: StudyRow) -> list[Any]:
    return [study.id, study.created.isoformat(), study.epoch, study.revision, study.state]


def _guard(app: Dash) -> None:
    """Let pages run and fetch what this server sends, and nothing else.

    Plotly compiles its WebGL programs with `eval`, which must be allowed; a script in a page is not.
    """
    hashes = " ".join(app.csp_hashes())
    policy = (
        f"default-src 'none'; script-src 'self' 'unsafe-eval' {hashes}; style-src 'self' 'unsafe-inline';"
        " img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; base-uri 'none';"
        " form-action 'none'; frame-ancestors 'none'"
    )

    @app.server.after_request  # type: ignore[untyped-decorator]
    def add(response: Any) -> Any:
        response.headers["Content-Security-Policy"] = policy
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        return response
