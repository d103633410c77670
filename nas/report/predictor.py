"""How well the accuracy predictor knew what the evaluations then found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from nas.report import style
from nas.report.front import SHOWN, thinned
from nas.report.snapshot import Snapshot

_DOT = {"size": 7, "line": {"width": 0.5, "color": style.LINE}}


@dataclass(frozen=True)
class Predictions:
    """Accuracies predicted before an evaluation and found by it.

    Attributes:
        trials: int64 (n,).
        predicted, evaluated: float64 (n,), fractions.
        kendall: rank correlation τ-b of both; NaN for fewer than two candidates or no spread.
        error: mean absolute difference, a fraction; NaN for none.
        bias: mean of predicted - evaluated.
    """

    trials: NDArray[np.int64]
    predicted: NDArray[np.float64]
    evaluated: NDArray[np.float64]
    kendall: float
    error: float
    bias: float


def predictor_data(snapshot: Snapshot) -> Predictions:
    """The pairs that the run recorded; those without a number are left out."""
    rows = [
        (step, data.get("predicted"), data.get("evaluated")) for step, data in snapshot.series["predictor"]
    ]
    table = np.array(rows, dtype=np.float64).reshape(len(rows), 3)
    table = table[np.isfinite(table).all(axis=1)]
    predicted, evaluated = table[:, 1], table[:, 2]
    difference = predicted - evaluated
    return Predictions(
        table[:, 0].astype(np.int64),
        predicted,
        evaluated,
        _kendall(predicted, evaluated),
        float(np.abs(difference).mean()) if len(table) else float("nan"),
        float(difference.mean()) if len(table) else float("nan"),
    )


def _kendall(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    if len(first) < 2:
        return float("nan")
    from scipy.stats import kendalltau

    return float(kendalltau(first, second).statistic)


def draw_predictor(data: Predictions, *, narrow: bool = False) -> go.Figure:
    """Evaluated over predicted accuracy, later candidates darker, with the line where both agree."""
    figure = style.figure(420)
    rows = thinned(np.arange(len(data.trials)), SHOWN)
    predicted, evaluated = 100 * data.predicted[rows], 100 * data.evaluated[rows]
    ends = [float(np.minimum(predicted, evaluated).min()), float(np.maximum(predicted, evaluated).max())]
    diagonal = {"color": style.LINE, "width": 1.5}
    figure.add_trace(go.Scatter(x=ends, y=ends, mode="lines", line=diagonal, hoverinfo="skip"))
    marker = {
        **_DOT,
        "color": data.trials[rows],
        "colorscale": style.time_scale(),
        "showscale": True,
        "colorbar": style.colour_bar("Trial"),
    }
    figure.add_trace(_dots(data, rows, predicted, evaluated, marker))
    figure.update_layout(showlegend=False)
    figure.update_xaxes(title_text="Predicted top-1 accuracy (%)")
    figure.update_yaxes(title_text="Evaluated top-1 accuracy (%)")
    return figure


def draw_error(data: Predictions, *, narrow: bool = False) -> go.Figure:
    """Error of each prediction in the order of the trials."""
    figure = style.figure(300 if narrow else 420)
    rows = thinned(np.arange(len(data.trials)), SHOWN)
    error = 100 * (data.predicted - data.evaluated)[rows]
    figure.add_hline(0, line={"color": style.LINE, "width": 1.5})
    figure.add_trace(_dots(data, rows, data.trials[rows], error, {**_DOT, "color": style.FRONT}))
    figure.update_layout(showlegend=False)
    figure.update_xaxes(title_text="Trial")
    figure.update_yaxes(title_text="Error (percentage points)")
    return figure


def _dots(
    data: Predictions, rows: list[int], x: NDArray[Any], y: NDArray[Any], marker: dict[str, Any]
) -> go.Scatter:
    texts = [
        f"trial {data.trials[row]}<br>predicted {100 * data.predicted[row]:.1f} %"
        f"<br>evaluated {100 * data.evaluated[row]:.1f} %"
        for row in rows
    ]
    return go.Scatter(x=x, y=y, mode="markers", marker=marker, hovertext=texts, hoverinfo="text")
