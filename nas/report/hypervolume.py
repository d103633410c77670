"""Hypervolume of the front as the search went on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from nas.report import style
from nas.report.snapshot import Snapshot
from nas.report.units import exact
from nas.report.words import plain


@dataclass(frozen=True)
class Hypervolume:
    """The front's hypervolume after each recorded generation.

    Attributes:
        evaluations: int64 (g,), complete trials by then.
        seconds: float64 (g,), of work since the study began; NaN where unknown.
        values: float64 (g,), in `unit`; generations without one are left out.
        front_sizes: int64 (g,).
        reference: the fixed corner, in words: `"accuracy 0 %, latency 60 ms"`; `""` if there is none.
        unit: the product of the objectives' units.
    """

    evaluations: NDArray[np.int64]
    seconds: NDArray[np.float64]
    values: NDArray[np.float64]
    front_sizes: NDArray[np.int64]
    reference: str
    unit: str

    @property
    def timed(self) -> bool:
        """Whether any generation knows its time."""
        return bool(np.isfinite(self.seconds).any())


def hypervolume_data(snapshot: Snapshot) -> Hypervolume:
    """The recorded generations of a study, in order."""
    rows = [row for row in snapshot.generations if row.hypervolume is not None]
    objectives = snapshot.study.objectives
    point = snapshot.study.reference_point or {}
    corner = [f"{one.name} {exact(point[one.name], one.unit)}" for one in objectives if one.name in point]
    return Hypervolume(
        np.array([row.n_evaluations for row in rows], dtype=np.int64),
        np.array([row.wall_s for row in rows], dtype=np.float64),
        np.array([row.hypervolume for row in rows], dtype=np.float64),
        np.array([row.front_size for row in rows], dtype=np.int64),
        ", ".join(corner),
        " × ".join(one.unit for one in objectives if one.unit),
    )


def draw_hypervolume(
    data: Hypervolume, by: Literal["evaluations", "time"] = "evaluations", *, narrow: bool = False
) -> go.Figure:
    """The hypervolume as a step line, over evaluations or over time."""
    figure = style.figure(300)
    known = np.isfinite(data.seconds) if by == "time" else np.ones(len(data.values), dtype=np.bool_)
    scale, unit = _time_scale(data.seconds) if by == "time" else (1.0, "")
    xs = data.seconds[known] / scale if by == "time" else data.evaluations
    texts = [
        f"{n:,} evaluations<br>hypervolume {volume:.5g}<br>{size} on the front"
        for n, volume, size in zip(data.evaluations[known], data.values[known], data.front_sizes[known])
    ]
    figure.add_trace(
        go.Scatter(
            x=xs,
            y=data.values[known],
            mode="lines+markers",
            line={"color": style.FRONT, "width": 2, "shape": "hv"},
            marker={"size": 5, "color": style.FRONT},
            hovertext=texts,
            hoverinfo="text",
            showlegend=False,
        )
    )
    figure.update_xaxes(
        title_text=f"Wall time ({unit})" if unit else "Evaluated architectures", rangemode="tozero"
    )
    figure.update_yaxes(title_text=plain(f"Hypervolume ({data.unit})" if data.unit else "Hypervolume"))
    return figure


def _time_scale(seconds: NDArray[np.float64]) -> tuple[float, str]:
    longest = float(np.nanmax(seconds))
    return next(
        ((size, unit) for size, unit in ((3600.0, "h"), (60.0, "min")) if longest >= 2 * size), (1.0, "s")
    )
