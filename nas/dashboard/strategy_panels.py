"""What strategies that keep a course did: slimming's cuts, a generator's distribution. Hidden for other searches."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from dash import Dash, Input, Output, State

from nas.dashboard import pieces
from nas.dashboard.drawn import drawing, payload
from nas.dashboard.feed import Feed
from nas.report.course import course_data, course_lead, draw_course
from nas.report.generator import (
    draw_feasible,
    draw_matters,
    draw_moved,
    draw_progress,
    draw_shift,
    generator_data,
    generator_lead,
)
from nas.report.snapshot import Snapshot

CUTS = ("cuts",)
LEARNED = ("matters", "moved", "shift", "progress", "feasible")
Drawn = tuple[list[dict[str, Any] | None], str]


def layout() -> list[Any]:
    """The sections without their numbers, hidden."""
    sections = [
        pieces.section(
            "course",
            "What was cut, step by step",
            pieces.plots(("cuts", "Cross-entropy against cost along the walk"), wide=CUTS),
        ),
        pieces.section(
            "generator",
            "What the generator learned",
            pieces.plots(
                ("matters", "How much utility depends on each decision"),
                ("moved", "How far the distribution of each decision moved"),
                ("shift", "Shares of each value at first and at last"),
                ("progress", "Best utility by evaluations"),
                ("feasible", "Feasible share of the generator's samples by evaluations"),
                wide=("shift",),
            ),
        ),
    ]
    for section in sections:
        section.hidden = True
    return sections


def register(app: Dash, feed: Feed) -> None:
    """Keep the sections up to date."""
    _keep(app, feed, "course", CUTS, course)
    _keep(app, feed, "generator", LEARNED, generator)


def _keep(app: Dash, feed: Feed, slug: str, names: Sequence[str], make: Any) -> None:
    @app.callback(  # type: ignore[untyped-decorator]
        *[drawing(name) for name in names],
        Output(f"{slug}-lead", "children"),
        Output(slug, "hidden"),
        Input("seen", "data"),
        State("study", "data"),
    )
    def draw(seen: Any, name: str) -> Any:
        pieces.await_study(seen, name)
        figures, told = make(feed.study(name))
        return *figures, told, not told


def course(snapshot: Snapshot) -> Drawn:
    """The walk of a slimming search; nothing for others."""
    walked = course_data(snapshot)
    if walked is None:
        return [None], ""
    return [payload(partial(draw_course, walked), keep=_keeping(snapshot))], course_lead(snapshot, walked)


def generator(snapshot: Snapshot) -> Drawn:
    """Which decision matters, how the distribution moved, utility and feasible share; nothing for other searches."""
    view = generator_data(snapshot)
    if view is None:
        return [None] * len(LEARNED), ""
    draws = (draw_matters, draw_moved, draw_shift, draw_progress, draw_feasible)
    figures: list[dict[str, Any] | None] = [
        None
        if draw is draw_matters and view.skill is None
        else payload(partial(draw, view), keep=_keeping(snapshot))
        for draw in draws
    ]
    return figures, generator_lead(view, str)


def _keeping(snapshot: Snapshot) -> str:
    return f"{snapshot.study.name} {snapshot.study.epoch}"
