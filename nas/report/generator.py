"""What a generative search learned: which decision matters, and how the generator's distribution moved."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

from nas.report import style
from nas.report.decisions import Decision, Decisions, draw_decisions
from nas.report.points import Floats
from nas.report.snapshot import Snapshot
from nas.report.tables import Cell, Head, escaped, table
from nas.report.units import percent, significant
from nas.report.words import listed, plain
from nas.search.utility import WORDS

UNITS = {
    "netscore": "dB of NetScore",
    "product": "weighted product",
    "accuracy": "accuracy",
    "objective": "objective",
}
RESPONSES = {
    "saliency": Head("Saliency of a block", "nats, first order"),
    "last": Head("Last block left out", "nats of loss"),
    "rank": Head("Effective rank", "1: no channel redundant"),
    "entropy": Head("Entropy of attention", "1: looks everywhere"),
}
_ROW, _MOST = 22, 40  # pixels; decisions that are drawn


@dataclass(frozen=True)
class Learned:
    """One decision.

    Attributes:
        values: as text.
        start, now: float64 (v,), shares of the values among the generator's samples, at first and at last.
        moved: Kullback-Leibler divergence of both in bits.
        effects: float64 (v,), mean change of utility where the decision is set to each value; None if the
            inquisitor concluded nothing.
    """

    name: str
    values: list[str]
    start: Floats
    now: Floats
    moved: float
    effects: Floats | None

    @property
    def spread(self) -> float:
        """Standard deviation of the effects; 0 without any."""
        return 0.0 if self.effects is None else float(self.effects.std())


@dataclass(frozen=True)
class GeneratorView:
    """A generator's course.

    Attributes:
        evaluated: int (g,), candidates evaluated after each round.
        best: float64 (g,), utility of the best feasible one so far; NaN where there was none.
        feasible: float64 (g,), share of the round's samples that met the requirements; NaN where none were drawn.
        decisions: in the order of the space, as after the last round.
        utility: name of the performance function.
        responses: mean response by name, over all networks that were probed.
        probed: how many were.
        skill: 1 − the inquisitor's error on candidates left out / that of their mean; None without an inquisitor.
    """

    evaluated: Floats
    best: Floats
    feasible: Floats
    decisions: list[Learned]
    utility: str
    responses: Mapping[str, float]
    probed: int
    skill: float | None

    @property
    def unit(self) -> str:
        """Unit of the utility, in words."""
        return UNITS.get(self.utility, self.utility)

    @property
    def worth(self) -> str:
        """What the utility weighs, in words."""
        return WORDS.get(self.utility, self.utility)


def generator_data(snapshot: Snapshot) -> GeneratorView | None:
    """The generator's course; None where the strategy has no generator."""
    steps = [data for _, data in snapshot.series["generator"]]
    if not steps:
        return None
    last = steps[-1]
    return GeneratorView(
        np.array([step["evaluated"] for step in steps], dtype=np.float64),
        np.array([_number(step["best"]) for step in steps]),
        np.array([_number(step["feasible"]) for step in steps]),
        [_learned(name, found) for name, found in last["decisions"].items()],
        str(last["utility"]),
        last.get("responses") or {},
        int(last["probed"]),
        last.get("skill"),
    )


def _learned(name: str, found: Mapping[str, Any]) -> Learned:
    effects = found["effects"]
    return Learned(
        name,
        [str(value) for value in found["values"]],
        np.array(found["start"], dtype=np.float64),
        np.array(found["now"], dtype=np.float64),
        float(found["moved"]),
        None if effects is None else np.array(effects, dtype=np.float64),
    )


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def ranked(view: GeneratorView) -> list[Learned]:
    """Decisions, those that matter most first: by the spread of their effects, else by how far they moved."""
    return sorted(view.decisions, key=lambda one: (one.spread, one.moved), reverse=True)


def generator_lead(view: GeneratorView, named: Callable[[str], str]) -> str:
    """What the generator looks for, what the inquisitor concluded, and the three decisions that matter most.

    Args:
        named: how the name of a decision is written.
    """
    told = listed([named(one.name) for one in ranked(view)[:3]])
    lead = (
        "The generator is a distribution over decisions. It starts around a prototype and moves towards what is worth"
        f" most, by {view.worth}."
    )
    if view.skill is not None:
        return (
            f"{lead} The inquisitor probed {view.probed:,} networks. It finds that most depends on {told}. Its errors"
            f" on candidates left out are {percent(1 - view.skill)} of those of guessing their mean."
        )
    idle = (
        f"The inquisitor probed {view.probed:,} networks, but too few were evaluated for it to conclude anything."
        if view.probed
        else "No network was probed, so it had no inquisitor."
    )
    return f"{lead} {idle} It moved most in {told}."


def draw_matters(view: GeneratorView, *, narrow: bool = False) -> go.Figure:
    """A bar for each decision: how much utility depends on it."""
    return _bars(view, [one.spread for one in ranked(view)], f"Spread of its effects ({view.unit})", narrow)


def draw_moved(view: GeneratorView, *, narrow: bool = False) -> go.Figure:
    """A bar for each decision: how far its distribution moved."""
    return _bars(view, [one.moved for one in ranked(view)], "Moved from the start (bits)", narrow)


def _bars(view: GeneratorView, lengths: Sequence[float], title: str, narrow: bool) -> go.Figure:
    shown = ranked(view)[:_MOST]
    figure = style.figure(_ROW * len(shown) + 70)
    figure.add_trace(
        go.Bar(
            x=list(lengths)[:_MOST],
            y=[plain(one.name) for one in shown],
            orientation="h",
            marker={"color": style.FRONT, "line": {"width": 0}},
            hovertext=[f"{plain(one.name)}: {significant(x)}" for one, x in zip(shown, lengths)],
            hoverinfo="text",
            showlegend=False,
        )
    )
    figure.update_layout(margin_t=28)  # the buttons are there
    figure.update_xaxes(title_text=plain(title), rangemode="tozero")
    figure.update_yaxes(autorange="reversed", type="category", tickfont={"size": 10 if narrow else 12})
    return figure


def draw_shift(view: GeneratorView, *, narrow: bool = False) -> go.Figure:
    """Small multiples: shares of each value at first (wide, pale) and at last (narrow)."""
    kept = {one.name for one in ranked(view)[:_MOST]}
    shown = [one for one in view.decisions if one.name in kept]
    decisions = [
        Decision(one.name, one.values, one.now, one.start, float(np.abs(one.now - one.start).sum() / 2))
        for one in shown
    ]
    data = Decisions(decisions, 0, 0, "the first distribution", "In the last distribution")
    return draw_decisions(data, narrow=narrow)


def draw_progress(view: GeneratorView, *, narrow: bool = False) -> go.Figure:
    """Best utility so far over evaluations."""
    return _line(view, view.best, f"Best utility ({view.unit})", 1.0)


def draw_feasible(view: GeneratorView, *, narrow: bool = False) -> go.Figure:
    """Share of the generator's samples that meet the requirements, over evaluations."""
    figure = _line(view, view.feasible, "Feasible samples (%)", 100.0)
    figure.update_yaxes(range=[0, 103])
    return figure


def _line(view: GeneratorView, values: Floats, title: str, factor: float) -> go.Figure:
    figure = style.figure(280)
    figure.add_trace(
        go.Scatter(
            x=view.evaluated,
            y=factor * values,
            mode="lines+markers",
            line={"color": style.FRONT, "width": 2},
            marker={"size": 5, "color": style.FRONT},
            hovertext=[
                f"{n:,.0f} evaluated: {significant(factor * v)}" for n, v in zip(view.evaluated, values)
            ],
            hoverinfo="text",
            showlegend=False,
        )
    )
    figure.update_xaxes(title_text="Evaluated architectures", rangemode="tozero")
    figure.update_yaxes(title_text=plain(title))
    return figure


def responses_table(view: GeneratorView) -> str:
    """Mean responses of each stage; empty if nothing was probed."""
    stages = list(dict.fromkeys(name.rpartition(".")[0] for name in view.responses if "." in name))
    if not stages:
        return ""
    heads = [Head("Stage"), *RESPONSES.values()]
    rows = [
        [
            Cell(f"<code>{escaped(stage)}</code>"),
            *(_cell(view.responses.get(f"{stage}.{kind}")) for kind in RESPONSES),
        ]
        for stage in stages
    ]
    return table(heads, rows)


def _cell(value: float | None) -> Cell:
    return Cell("–", -np.inf) if value is None else Cell(significant(value).replace("-", "−"), float(value))
