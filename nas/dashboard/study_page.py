"""The page of one study: where everything stands, and its head."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from dash import Dash, Input, Output, State, dcc, html

from nas.dashboard import (
    commands,
    front_panel,
    history_panels,
    network_panel,
    parallel_panel,
    pieces,
    strategy_panels,
)
from nas.dashboard.applying import means_of
from nas.dashboard.feed import Feed
from nas.dashboard.finding import Finder
from nas.report.snapshot import Snapshot
from nas.report.summary import warnings
from nas.report.units import significant


def layout(name: str) -> list[Any]:
    """The page without its numbers."""
    desk = [
        html.Div(front_panel.layout(), className="front"),
        html.Div(network_panel.layout(), className="network"),
        html.Div(parallel_panel.layout(), className="parallel"),
    ]
    return [
        dcc.Store(id="study", data=name),
        html.Header(
            [
                html.P(pieces.link("‹ All studies", "/"), className="back"),
                html.H1(name),
                html.P(id="meta", className="meta"),
                html.Div(id="facts"),
                html.Div(id="warnings"),
            ]
        ),
        html.Section(html.Div(desk, className="desk"), className="first"),
        *strategy_panels.layout(),
        *history_panels.layout(),
        pieces.section("commands", "Commands", html.Div(id="applying")),
    ]


def register(app: Dash, feed: Feed, finder: Finder, named: str | None) -> None:
    """Keep the head and the commands up to date.

    Args:
        named: the storage's URL where commands must name it.
    """

    @app.callback(  # type: ignore[untyped-decorator]
        Output("meta", "children"),
        Output("facts", "children"),
        Output("warnings", "children"),
        Input("seen", "data"),
        State("study", "data"),
    )
    def head(seen: Any, name: str) -> Any:
        pieces.await_study(seen, name)
        snapshot = feed.study(name)
        study = snapshot.study
        meta = [pieces.state(study.state), f" Space {study.space} · {study.updated:%Y-%m-%d %H:%M:%S} UTC"]
        return meta, pieces.figures(facts(snapshot)), warned(snapshot)

    @app.callback(  # type: ignore[untyped-decorator]
        Output("applying", "children"), Input("seen", "data"), State("study", "data")
    )
    def applying(seen: Any, name: str) -> Any:
        pieces.await_study(seen, name)
        study = feed.study(name).study
        return pieces.commands(commands.of_study(name, means_of(finder, study), named))


def facts(snapshot: Snapshot) -> list[tuple[str, str, str]]:
    """Trials, front, hypervolume: (name, number, what else)."""
    counts = snapshot.counts
    states = ", ".join(f"{n:,} {state}" for state, n in counts.items() if len(counts) > 1)
    generations = snapshot.generations
    volumes = [row.hypervolume for row in generations if row.hypervolume is not None]
    n = generations[-1].n_evaluations if volumes else 0
    after = f"after {n:,} evaluation{'' if n == 1 else 's'}" if n else ""
    training = snapshot.series["train"]
    found = [
        ("Trials", f"{len(snapshot.trials):,}", states),
        ("On the front", f"{len(snapshot.front):,}", ""),
        ("Hypervolume", significant(volumes[-1], 4) if volumes else "–", after),
    ]
    if training:
        found.append(("Training steps", f"{training[-1][0] + 1:,}", ""))
    return found


def warned(snapshot: Snapshot) -> Any:
    """What must be known to read the results."""
    study = snapshot.study
    if study.state == "running":  # said beside the name, and nothing to be warned of
        snapshot = replace(snapshot, study=replace(study, state="finished"))
        if not len(snapshot.trials):
            return []
    told = warnings(snapshot)
    if not told:
        return []
    return html.Aside(
        html.Ul([html.Li(text) for text in told]), className="warnings", **{"aria-label": "Warnings"}
    )
