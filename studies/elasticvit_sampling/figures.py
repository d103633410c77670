"""The study's figures, drawn from `analysis`; PNG files by Chromium."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
from analysis import Course, Curve, Fidelity, Floats, Interval, Together, interval
from plotly.offline import get_plotlyjs

from nas.report import style

COLOURS = {
    "uniform": style.CLOUD,
    "sandwich": style.PRESET,
    "complexity": style.FRONT,
    "performance": "#0b3565",
}
WIDTH, SHIFT = 960, 0.2
RATIOS = (1, 2, 5, 10, 20, 50, 100)
DIAMOND = {"symbol": "diamond", "size": 12}
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


def draw_gains(points: Mapping[str, Mapping[str, Floats]]) -> go.Figure:
    """Points of top-1 above uniform sampling with the same seed, by sampler and group; dots are seeds."""
    figure = style.figure(420)
    figure.add_hline(0, line={"color": COLOURS["uniform"], "width": 1.5}, layer="below")
    groups = list(next(iter(points.values())))
    for number, (name, found) in enumerate(points.items()):
        at = np.arange(len(groups)) + (number - (len(points) - 1) / 2) * SHIFT
        _add_means(figure, name, list(at), [interval(found[group]) for group in groups])
        _add_dots(figure, name, [(x, y) for x, group in zip(at, groups) for y in found[group]])
    labels = [group.replace(", ", "<br>of the ") for group in groups]
    figure.update_xaxes(tickvals=list(range(len(groups))), ticktext=labels)
    figure.update_yaxes(title_text="Points of top-1 above uniform, same seed")
    return figure


def draw_fidelity(found: Mapping[str, Sequence[Fidelity]]) -> go.Figure:
    """Kendall τ of inherited and retrained accuracy, over all architectures and within groups of one size."""
    figure = style.figure(380)
    for number, (name, each) in enumerate(found.items()):
        at = np.arange(2) + (number - (len(found) - 1) / 2) * SHIFT
        values = [np.array([f.kendall for f in each]), np.array([f.within for f in each])]
        _add_means(figure, name, list(at), [interval(v) for v in values])
        _add_dots(figure, name, [(x, value) for x, v in zip(at, values) for value in v])
    figure.update_xaxes(tickvals=[0, 1], ticktext=["all architectures", "within groups of one size"])
    figure.update_yaxes(title_text="Kendall τ with accuracy trained alone", range=[-0.6, 1])
    return figure


def draw_conflict(curves: Mapping[str, Curve], together: Mapping[str, Together]) -> go.Figure:
    """Cosine over the ratio of MACs for the same pairs everywhere; diamonds: pairs of one step of each sampler."""
    figure = style.figure(420)
    figure.add_hline(0, line={"color": style.LINE, "width": 1.5})
    for name, curve in curves.items():
        _add_means(figure, name, curve.centres, curve.means, mode="lines+markers", marker={"size": 5})
    for name, found in together.items():
        _add_means(figure, name, [found.ratio], [found.cosine], marker=DIAMOND, showlegend=False)
    figure.update_xaxes(
        type="log",
        tickvals=RATIOS,
        ticktext=[str(ratio) for ratio in RATIOS],
        title_text="MACs of the larger over MACs of the smaller subnet",
    )
    figure.update_yaxes(title_text="Cosine between gradients")
    return figure


def draw_course(course: Course) -> go.Figure:
    """Share of exploited draws, the share that the schedule asks for, how full the banks are; below, their losses."""
    from plotly.subplots import make_subplots

    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.08, row_heights=[0.6, 0.4])
    figure.update_layout(style.figure(460).layout)
    lines = (
        (1, "share of draws from the banks", course.exploited, style.FRONT, "solid"),
        (1, "β of the schedule", course.beta, style.MUTED, "dash"),
        (1, "banks' entries over capacity", course.filled, style.PRESET, "solid"),
        (2, "all entries of the banks", -course.mean, style.INFEASIBLE, "solid"),
        (2, "the best of each bank", -course.best, style.ORDERED[10], "solid"),
    )
    for row, name, values, colour, dash in lines:
        line = {"color": colour, "width": 2, "dash": dash}
        trace = go.Scatter(x=course.steps, y=values, mode="lines+markers", name=name, line=line)
        figure.add_trace(trace, row=row, col=1)
    figure.update_xaxes(title_text="Step: shares are of the steps since the point before", row=2, col=1)
    figure.update_yaxes(title_text="Share", rangemode="tozero", row=1, col=1)
    figure.update_yaxes(title_text="Cross-entropy, nats", rangemode="tozero", row=2, col=1)
    return figure


def _add_means(
    figure: go.Figure, name: str, at: Sequence[float] | Floats, found: Sequence[Interval], **options: Any
) -> None:
    means = [each.mean for each in found]
    errors = _errors(means, [each.low for each in found], [each.high for each in found])
    known = {"mode": "markers", "line": {"width": 2}, **options}
    known["marker"] = {"size": 10, **known.get("marker", {}), "color": COLOURS[name]}
    known["line"]["color"] = COLOURS[name]
    figure.add_trace(go.Scatter(x=list(at), y=means, error_y=errors, name=name, **known))


def _add_dots(figure: go.Figure, name: str, points: Sequence[tuple[float, float]]) -> None:
    figure.add_trace(
        go.Scatter(
            x=[x for x, _ in points],
            y=[y for _, y in points],
            mode="markers",
            showlegend=False,
            marker={"size": 5, "color": COLOURS[name], "symbol": "circle-open"},
        )
    )


def _errors(means: Sequence[float], low: Sequence[float], high: Sequence[float]) -> dict[str, object]:
    above = np.nan_to_num(np.array(high) - np.array(means))
    below = np.nan_to_num(np.array(means) - np.array(low))
    return {
        "type": "data",
        "symmetric": False,
        "array": above,
        "arrayminus": below,
        "width": 3,
        "thickness": 1.2,
    }


def write_page(figures: Mapping[str, go.Figure], path: Path) -> None:
    """All figures in one HTML file that needs nothing else."""
    from nas.files import write_atomically

    parts = [figure.to_html(full_html=False, include_plotlyjs=False) for figure in figures.values()]
    script = f"<script>{get_plotlyjs()}</script>"
    body = "".join(f"<h2>{name}</h2>{part}" for name, part in zip(figures, parts))
    write_atomically(path, f'<!doctype html><meta charset="utf-8">{script}<body>{body}</body>')


def write_pngs(figures: Mapping[str, go.Figure], folder: Path) -> None:
    """`NAME.png` of each figure, where there is a Chromium; without one, that is said."""
    browser = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if browser is None:
        print("no Chromium is installed: the figures are not written as PNG", file=sys.stderr)
        return
    for name, figure in figures.items():
        _photograph(browser, figure, (folder / f"{name}.png").resolve())


def _photograph(browser: str, figure: go.Figure, target: Path) -> None:
    height = int(figure.layout.height)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        page = Path(place) / "figure.html"
        plot = go.Figure(figure).update_layout(width=WIDTH, paper_bgcolor="white", plot_bgcolor="white")
        html = plot.to_html(full_html=False, include_plotlyjs=True, config={"staticPlot": True})
        page.write_text(
            f'<!doctype html><meta charset="utf-8"><body style="margin:0">{html}</body>', encoding="utf-8"
        )
        command = [
            browser,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            f"--user-data-dir={place}/profile",
            f"--window-size={WIDTH},{height}",
            "--virtual-time-budget=10000",
            f"--screenshot={target}",
            page.as_uri(),
        ]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
