"""The course of a search that walks: what each step cut, what it saved and what it cost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from nas.report import style
from nas.report.points import Floats
from nas.report.snapshot import Snapshot
from nas.report.tables import Cell, Head, escaped, table
from nas.report.units import Scale, number, scale_for, significant, title
from nas.report.words import plain

BESIDE = (
    "Slimming is one walk: at equal evaluations the strategy <em>predictor</em> has a better front in most searches"
    " (docs/strategies.md, Strategies beside each other)."
)
"""Of 40 searches by `python -m benchmarks.search.limited --seeds 10`, 2026-12-01: slimming was ahead in 9."""


@dataclass(frozen=True)
class Course:
    """Steps of a walk, the start first.

    Attributes:
        cost, loss, saved: float64 (n,): the cost after each step, the mean cross-entropy in nats, and what
            the step saved; all in stored units.
        actions, arch_ids: what each step changed, and to which architecture it led.
        cost_name, cost_unit: of the cost.
    """

    cost: Floats
    loss: Floats
    saved: Floats
    actions: list[str]
    arch_ids: list[str]
    cost_name: str
    cost_unit: str

    @property
    def scale(self) -> Scale:
        """How the cost is shown."""
        return scale_for(self.cost_unit, self.cost)


def course_data(snapshot: Snapshot) -> Course | None:
    """The steps the study recorded; None where its strategy takes none."""
    steps = [data for _, data in snapshot.series["course"]]
    cost = next((o for o in snapshot.study.objectives if o.direction == "min"), None)
    if not steps or cost is None:
        return None
    return Course(
        np.array([step["cost"] for step in steps], dtype=np.float64),
        np.array([step["loss"] for step in steps], dtype=np.float64),
        np.array([step["saved"] for step in steps], dtype=np.float64),
        [str(step["action"]) for step in steps],
        [str(step["arch_id"]) for step in steps],
        title(cost.name, snapshot.device(cost.name)),
        cost.unit,
    )


def course_lead(snapshot: Snapshot, course: Course) -> str:
    """How many cuts there were, and by what each was chosen."""
    options = snapshot.study.config.get("settings", {}).get("search", {}).get("options", {})
    per = "for its gain of MES" if options.get("rule") == "mes" else "for what it saved"
    n = len(course.actions) - 1
    return (
        f"From the start on the right to the left: {n:,} {'cut' if n == 1 else 'cuts'}. Of all that were evaluated,"
        f" each is the one that saved most without losing anything, where there was one, else the one that lost least"
        f" {per}. {BESIDE}"
    )


def draw_course(course: Course, *, narrow: bool = False) -> go.Figure:
    """Cross-entropy against cost, from the start on the right to the end on the left."""
    figure = style.figure(380 if narrow else 420)
    texts = [
        f"<b>step {n}</b> {plain(action)}<br>{plain(arch_id)}"
        for n, (action, arch_id) in enumerate(zip(course.actions, course.arch_ids))
    ]
    figure.add_trace(
        go.Scatter(
            x=course.cost * course.scale.factor,
            y=course.loss,
            mode="lines+markers",
            line={"color": style.FRONT, "width": 1.5},
            marker={"size": 7, "color": style.FRONT},
            hovertext=texts,
            hoverinfo="text",
            showlegend=False,
        )
    )
    unit = f" ({course.scale.axis})" if course.scale.axis else ""
    figure.update_xaxes(title_text=plain(f"{course.cost_name}{unit}"))
    figure.update_yaxes(title_text="Mean cross-entropy (nats)")
    return figure


def course_table(course: Course) -> str:
    """Each step: what was cut, what it saved, what it cost."""
    unit = course.scale.axis
    heads = [
        Head("Step"),
        Head("What was cut"),
        Head("Saved", unit),
        Head("Cross-entropy", "change"),
        Head(course.cost_name, unit),
    ]
    change = np.diff(course.loss, prepend=course.loss[:1])
    rows = [
        [
            Cell(str(n), float(n)),
            Cell(escaped(course.actions[n])),
            Cell(number(course.saved[n], course.cost_unit, course.scale), float(course.saved[n])),
            Cell(
                f"{change[n]:+.4f}".replace("-", "−") if n else significant(course.loss[0], 4),
                float(change[n]),
            ),
            Cell(number(course.cost[n], course.cost_unit, course.scale), float(course.cost[n])),
        ]
        for n in range(len(course.actions))
    ]
    return table(heads, rows)
