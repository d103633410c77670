"""Gradient conflict: do two subnets pull their shared weights the same way?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from nas.report import style
from nas.report.front import SHOWN, thinned
from nas.report.snapshot import Snapshot
from nas.report.units import Scale, number, scale_for

_BINS = 6
_FEWEST = 5  # pairs that a mean is taken of

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Conflict:
    """Pairs of subnets trained on one batch.

    Attributes:
        steps: int64 (n,).
        difference: float64 (n,), |MACs a - MACs b|.
        cosine: float64 (n,), between their gradients over the weights they share, -1 … 1.
        centres, means: float64 (b,): mean difference and mean cosine of equally large groups of
            pairs with similar difference; empty for too few pairs.
        spearman: rank correlation of cosine and difference, NaN for too few pairs.
        opposed: share of pairs whose cosine is negative.
    """

    steps: NDArray[np.int64]
    difference: Floats
    cosine: Floats
    centres: Floats
    means: Floats
    spearman: float
    opposed: float


def conflict_data(snapshot: Snapshot) -> Conflict:
    """The pairs that the run recorded; those without a number are left out."""
    rows = [
        (step, abs(data["macs_a"] - data["macs_b"]), data["cosine"])
        for step, data in snapshot.series["conflict"]
        if None not in (data.get("macs_a"), data.get("macs_b"), data.get("cosine"))
    ]
    table = np.array(rows, dtype=np.float64).reshape(len(rows), 3)
    table = table[np.isfinite(table).all(axis=1)]
    difference, cosine = table[:, 1], table[:, 2]
    centres, means = binned(difference, cosine)
    return Conflict(
        table[:, 0].astype(np.int64),
        difference,
        cosine,
        centres,
        means,
        _spearman(difference, cosine),
        float((cosine < 0).mean()) if len(table) else float("nan"),
    )


def binned(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Mean x and mean y of at most six groups of equally many points with neighbouring x."""
    groups = min(_BINS, len(x) // _FEWEST)
    if groups < 2:
        return np.empty(0), np.empty(0)
    parts = np.array_split(np.argsort(x, kind="stable"), groups)
    return np.array([x[part].mean() for part in parts]), np.array([y[part].mean() for part in parts])


def _spearman(x: Floats, y: Floats) -> float:
    if len(x) < _FEWEST or np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    from scipy.stats import spearmanr

    return float(spearmanr(x, y).statistic)


def draw_conflict(data: Conflict, *, narrow: bool = False) -> go.Figure:
    """Cosine over the difference in MACs, later steps darker, with the mean of neighbouring pairs."""
    figure = style.figure(400)
    rows = thinned(np.arange(len(data.steps)), SHOWN)
    scale = scale_for("MACs", data.difference)
    figure.add_hline(0, line={"color": style.LINE, "width": 1.5})
    figure.add_trace(
        go.Scatter(
            x=data.difference[rows] * scale.factor,
            y=data.cosine[rows],
            mode="markers",
            marker={
                "size": 7,
                "color": data.steps[rows],
                "colorscale": style.time_scale(),
                "showscale": True,
                "colorbar": style.colour_bar("Step"),
                "line": {"width": 0.5, "color": style.LINE},
            },
            hovertext=_hovers(data, rows, scale),
            hoverinfo="text",
        )
    )
    figure.add_trace(
        go.Scatter(
            x=data.centres * scale.factor,
            y=data.means,
            mode="lines+markers",
            line={"color": style.PRESET, "width": 2},
            marker={"size": 6, "color": style.PRESET},
            hovertext=[f"mean of neighbouring pairs<br>cosine {mean:.2f}" for mean in data.means],
            hoverinfo="text",
        )
    )
    figure.update_layout(showlegend=False)
    figure.update_xaxes(
        title_text=f"Difference in MACs ({scale.axis})" if scale.axis else "Difference in MACs"
    )
    figure.update_yaxes(title_text="Cosine between gradients")
    return figure


def _hovers(data: Conflict, rows: list[int], scale: Scale) -> list[str]:
    return [
        f"step {data.steps[row]:,}<br>cosine {data.cosine[row]:.2f}"
        f"<br>MACs differ by {number(data.difference[row], 'MACs', scale)} {scale.axis}"
        for row in rows
    ]
