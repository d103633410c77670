"""How true the predicted latencies of the front are: measured on the device beside predicted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from nas.metrics import Metric
from nas.report import style
from nas.report.candidates import Candidate, of_front
from nas.report.snapshot import MEASURED, Snapshot
from nas.report.units import described
from nas.report.words import plain

_DOT = {"size": 9, "line": {"width": 0.5, "color": style.LINE}}


@dataclass(frozen=True)
class Measured:
    """Front members with a measured latency.

    Attributes:
        name: of the metric, `latency` or `latency@DEVICE`.
        trials: int64 (n,).
        predicted, low, high, measured: float64 (n,), ms.
        held: bool (n,), whether the predicted interval holds the measured median.
        texts: what is told of each, Plotly's kind of HTML.
    """

    name: str
    trials: NDArray[np.int64]
    predicted: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    measured: NDArray[np.float64]
    held: NDArray[np.bool_]
    texts: tuple[str, ...]

    @property
    def error(self) -> float:
        """Mean absolute error of the predictions, as a fraction of the measured latency."""
        return float(np.abs(self.predicted / self.measured - 1).mean())


def measured_data(snapshot: Snapshot) -> list[Measured]:
    """Each latency that was measured of front members and predicted for them, by name."""
    members = of_front(snapshot)
    names = dict.fromkeys(name for member in members for name in member.at(MEASURED))
    found = []
    for name in names:
        both = [
            (one, predicted, one.at(MEASURED)[name])
            for one in members
            if name in one.at(MEASURED) and (predicted := one.predicted(name)) is not None
        ]
        if both:
            found.append(_of(name, both))
    return found


def _of(name: str, timed: list[tuple[Candidate, Metric, Metric]]) -> Measured:
    members = [member for member, _, _ in timed]
    predicted = [metric for _, metric, _ in timed]
    return Measured(
        name,
        np.array([member.number for member in members], dtype=np.int64),
        np.array([metric.value for metric in predicted]),
        np.array([_end(metric, metric.low) for metric in predicted]),
        np.array([_end(metric, metric.high) for metric in predicted]),
        np.array([metric.value for _, _, metric in timed]),
        np.array([not member.missed(name) for member in members], dtype=bool),
        tuple(_text(*parts) for parts in timed),
    )


def _end(metric: Metric, end: float | None) -> float:
    return metric.value if end is None else end


def _text(member: Candidate, predicted: Metric, measured: Metric) -> str:
    return (
        f"<b>{plain(member.name)}</b><br>predicted {plain(described(predicted))}"
        f"<br>measured {plain(described(measured))}"
    )


def draw_measured(data: Measured, *, narrow: bool = False) -> go.Figure:
    """Measured over predicted latency with the predictions' intervals, and the line where both agree."""
    figure = style.figure(420)
    ends = [float(min(data.low.min(), data.measured.min())), float(max(data.high.max(), data.measured.max()))]
    line = {"color": style.LINE, "width": 1.5}
    figure.add_trace(go.Scatter(x=ends, y=ends, mode="lines", line=line, hoverinfo="skip", showlegend=False))
    groups = (
        ("interval holds it", data.held, style.FRONT),
        ("outside the interval", ~data.held, style.INFEASIBLE),
    )
    for label, rows, colour in groups:
        if not rows.any():
            continue
        bars = {
            "type": "data",
            "symmetric": False,
            "array": (data.high - data.predicted)[rows],
            "arrayminus": (data.predicted - data.low)[rows],
            "color": colour,
            "thickness": 1,
        }
        texts = [text for text, wanted in zip(data.texts, rows) if wanted]
        figure.add_trace(
            go.Scatter(
                x=data.predicted[rows],
                y=data.measured[rows],
                error_x=bars,
                mode="markers",
                marker={**_DOT, "color": colour},
                name=label,
                hovertext=texts,
                hoverinfo="text",
            )
        )
    figure.update_xaxes(title_text="Predicted latency (ms)")
    figure.update_yaxes(title_text="Measured latency (ms)")
    return figure
