"""Which values of each decision the front is made of, against the whole space."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from nas.report import style
from nas.report.snapshot import Snapshot
from nas.report.words import plain

MOST = 40  # decisions that are drawn
_ROW, _GAP = 96, 52  # pixels


@dataclass(frozen=True)
class Decision:
    """How one decision is taken on the front and elsewhere.

    Attributes:
        values: as text, in the order of the space.
        front: float64 (v,), share of each value among the front members that take the decision.
        whole: float64 (v,), its share in what the front is compared with.
        distance: total variation between both, 0 (alike) … 1 (disjoint).
    """

    name: str
    values: list[str]
    front: NDArray[np.float64]
    whole: NDArray[np.float64]
    distance: float


@dataclass(frozen=True)
class Decisions:
    """The decisions of a study's front.

    Attributes:
        shown: in the order of the space; the most different ones where there are too many.
        left_out: number of those not shown.
        n: size of the front.
        against: what the front is compared with, in words.
        mine: what the front's shares are called.
    """

    shown: list[Decision]
    left_out: int
    n: int
    against: str
    mine: str = "On the front"


def decision_data(snapshot: Snapshot) -> Decisions:
    """Shares of every value on the front and in the space.

    Where the run did not record the space's own shares the trials themselves are compared with.
    """
    archs = [trial.arch for trial in snapshot.front]
    recorded: Mapping[str, Mapping[str, float]] = snapshot.facts.get("space_distribution") or {}
    whole = recorded or _of_trials(snapshot)
    names = list(whole) if archs else []
    taken = {name: [str(arch[name]) for arch in archs if name in arch] for name in names}
    every = [_compared(name, taken[name], whole[name]) for name in names if taken[name]]
    most = sorted(every, key=lambda one: one.distance, reverse=True)[:MOST]
    kept = {one.name for one in most}
    return Decisions(
        [one for one in every if one.name in kept],
        len(every) - len(kept),
        len(archs),
        "the whole space" if recorded else "all trials of this study",
    )


def shares(values: Iterable[str]) -> dict[str, float]:
    """Share of each value, by value."""
    counts = Counter(values)
    total = sum(counts.values())
    return {value: count / total for value, count in counts.items()}


def _compared(name: str, taken: Sequence[str], whole: Mapping[str, float]) -> Decision:
    mine = shares(taken)
    values = [*whole, *(value for value in mine if value not in whole)]
    front = np.array([mine.get(value, 0.0) for value in values])
    rest = np.array([float(whole.get(value, 0.0)) for value in values])
    return Decision(name, values, front, rest, float(np.abs(front - rest).sum() / 2))


def _of_trials(snapshot: Snapshot) -> dict[str, dict[str, float]]:
    trials = snapshot.trials
    columns = [column for column in trials if str(column).startswith("arch.")]
    found = {}
    for column in columns:
        values = [_text(value) for value in trials[column].dropna().tolist()]
        found[column.removeprefix("arch.")] = dict(sorted(shares(values).items(), key=_ordered))
    return found


def _text(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _ordered(item: tuple[str, float]) -> tuple[bool, float, str]:
    try:
        return False, float(item[0]), item[0]
    except ValueError:
        return True, 0.0, item[0]


def draw_decisions(data: Decisions, *, narrow: bool = False) -> go.Figure:
    """Small multiples: for each decision wide pale bars for the space, narrow ones for the front."""
    columns = 2 if narrow else 4
    rows = -(-len(data.shown) // columns)
    height = rows * (_ROW + _GAP) + 40
    figure = style.figure(height)
    for index, decision in enumerate(data.shown):
        _multiple(figure, decision, index, columns, height, (f"In {data.against}", data.mine))
    figure.update_layout(barmode="overlay", bargap=0.1, margin={"l": 40, "r": 8, "t": 36, "b": 4})
    return figure


def _multiple(
    figure: go.Figure, decision: Decision, index: int, columns: int, height: int, names: tuple[str, str]
) -> None:
    row, column = divmod(index, columns)
    suffix = "" if index == 0 else str(index + 1)
    inner = height - 40
    top = 1 - (row * (_ROW + _GAP) + 20) / inner
    left = column / columns
    axes = {"xaxis": f"x{suffix}", "yaxis": f"y{suffix}"}
    labels = [plain(value) for value in decision.values]
    for shares, name, width, colour in (
        (decision.whole, names[0], 0.86, style.WHOLE),
        (decision.front, names[1], 0.46, style.FRONT),
    ):
        figure.add_trace(
            go.Bar(
                x=labels,
                y=100 * shares,
                width=width,
                marker={"color": colour, "line": {"width": 0}},
                name=name,
                legendgroup=name,
                showlegend=index == 0,
                hovertext=_hovers(decision, names),
                hoverinfo="text",
                **axes,
            )
        )
    figure.update_layout(
        {
            f"xaxis{suffix}": {
                "domain": [left, left + 0.86 / columns],
                "anchor": axes["yaxis"],
                "type": "category",
                "tickfont": {"size": 10},
                "ticks": "",
                "tickangle": 0 if sum(map(len, labels)) < 30 else -45,
                "fixedrange": True,
            },
            f"yaxis{suffix}": {
                "domain": [max(0.0, top - _ROW / inner), max(0.0, top)],
                "anchor": axes["xaxis"],
                "range": [0, 100],
                "tickvals": [0, 50, 100],
                "ticktext": ["0 %", "50 %", "100 %"],
                "showticklabels": column == 0,
                "tickfont": {"size": 10},
                "fixedrange": True,
            },
        }
    )
    figure.add_annotation(
        text=plain(decision.name),
        x=left,
        y=top,
        xref="paper",
        yref="paper",
        xanchor="left",
        yanchor="bottom",
        showarrow=False,
        font={"size": 12, "color": style.TEXT},
    )


def _hovers(decision: Decision, names: tuple[str, str]) -> list[str]:
    rest, mine = (name[:1].lower() + name[1:] for name in names)
    return [
        f"{plain(decision.name)} = {plain(value)}<br>{mine} {100 * share:.0f} %, {rest} {100 * other:.1f} %"
        for value, share, other in zip(decision.values, decision.front, decision.whole)
    ]
