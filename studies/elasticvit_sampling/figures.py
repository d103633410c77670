"""The study's figures, drawn from `analysis`; PNG files by Chromium."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
from analysis import GROUPS, Course, Curve, Drawn, Fidelity, Interval, Scores, group_means, interval
from plotly.offline import get_plotlyjs

from nas.report import style

COLOURS = {
    "uniform": style.CLOUD,
    "sandwich": style.PRESET,
    "complexity": style.FRONT,
    "performance": "#0b3565",
    "uniform+smallest": style.INFEASIBLE,
    "cyclic": style.ORDERED[10],
    "alone": style.TEXT,
}
WIDTH, SHIFT = 960, 0.13
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


def draw_accuracy(scores: Mapping[str, Scores], alone: Scores | None) -> go.Figure:
    """Mean top-1 of each group by sampler: seeds as open dots, the mean with its interval, cut at 0 and 100 %."""
    figure = style.figure(420)
    every = {**scores, **({"alone": alone} if alone is not None else {})}
    for number, (name, found) in enumerate(every.items()):
        at = np.arange(len(GROUPS)) + (number - (len(every) - 1) / 2) * SHIFT
        means = [100 * group_means(found, group) for group in GROUPS]
        _add_means(figure, name, at, [interval(values) for values in means])
        dots = [(x, value) for x, values in zip(at, means) for value in values]
        _add_dots(figure, name, dots)
    figure.update_xaxes(tickvals=list(range(len(GROUPS))), ticktext=list(GROUPS))
    figure.update_yaxes(title_text="Top-1 on test images, %", range=[0, 100])
    return figure


def draw_gains(found: Mapping[str, Sequence[Interval]]) -> go.Figure:
    """Points of top-1 above uniform sampling with the same seed, by sampler and group."""
    figure = style.figure(380)
    figure.add_hline(0, line={"color": COLOURS["uniform"], "width": 1.5}, layer="below")
    for number, (name, each) in enumerate(found.items()):
        at = np.arange(len(GROUPS)) + (number - (len(found) - 1) / 2) * SHIFT
        shown = [Interval(100 * one.mean, 100 * one.low, 100 * one.high, one.n) for one in each]
        _add_means(figure, name, at, shown)
    figure.update_xaxes(tickvals=list(range(len(GROUPS))), ticktext=list(GROUPS))
    figure.update_yaxes(title_text="Points of top-1 above uniform, same seed")
    return figure


def draw_fidelity(found: Mapping[str, Sequence[Fidelity]], second: Fidelity | None) -> go.Figure:
    """Kendall τ of inherited and retrained accuracy, over all architectures and within groups of one size.

    Args:
        second: of a second training alone against the first, drawn as lines.
    """
    figure = style.figure(380)
    for number, (name, each) in enumerate(found.items()):
        at = np.arange(2) + (number - (len(found) - 1) / 2) * SHIFT
        values = [np.array([f.kendall for f in each]), np.array([f.within for f in each])]
        _add_means(figure, name, at, [interval(v) for v in values])
        _add_dots(figure, name, [(x, value) for x, v in zip(at, values) for value in v])
    if second is not None:
        line = {"color": style.MUTED, "width": 1.5, "dash": "dash"}
        for place, value in enumerate((second.kendall, second.within)):
            figure.add_shape(type="line", x0=place - 0.45, x1=place + 0.45, y0=value, y1=value, line=line)
        figure.add_annotation(
            x=0.45, y=second.kendall, text="two trainings alone", showarrow=False, yshift=10
        )
    figure.update_xaxes(tickvals=[0, 1], ticktext=["all 25 architectures", "within groups of one size"])
    figure.update_yaxes(title_text="Kendall τ with accuracy trained alone", range=[-0.4, 1])
    return figure


def draw_conflict(curves: Mapping[str, Curve], together: Mapping[str, Drawn]) -> go.Figure:
    """Cosine over the ratio of MACs for the same pairs everywhere; diamonds: pairs of one step of each sampler."""
    figure = style.figure(420)
    figure.add_hline(0, line={"color": style.LINE, "width": 1.5})
    for name, curve in curves.items():
        figure.add_trace(
            go.Scatter(
                x=curve.centres,
                y=curve.means,
                mode="lines+markers",
                name=name,
                line={"color": COLOURS[name], "width": 2},
            )
        )
    for name, drawn in together.items():
        figure.add_trace(
            go.Scatter(
                x=[drawn.ratio],
                y=[drawn.cosine.mean],
                error_y=_errors([drawn.cosine.mean], [drawn.cosine.low], [drawn.cosine.high]),
                mode="markers",
                showlegend=False,
                marker={"symbol": "diamond", "size": 12, "color": COLOURS[name]},
            )
        )
    figure.update_xaxes(type="log", title_text="MACs of the larger over MACs of the smaller subnet")
    figure.update_yaxes(title_text="Cosine between gradients", range=[-0.2, 1])
    return figure


def draw_course(course: Course) -> go.Figure:
    """Share of exploited draws, the share that the schedule asks for, and how full the banks are."""
    figure = style.figure(360)
    lines = (
        ("share of draws from the banks", course.exploited, style.FRONT, "solid"),
        ("β of the schedule", course.beta, style.MUTED, "dash"),
        ("banks' entries over capacity", course.filled, style.PRESET, "solid"),
        ("cross-entropy of the banks' entries, nats", -course.mean, style.INFEASIBLE, "solid"),
    )
    for name, values, colour, dash in lines:
        line = {"color": colour, "width": 2, "dash": dash}
        figure.add_trace(go.Scatter(x=course.steps, y=values, mode="lines+markers", name=name, line=line))
    figure.update_xaxes(title_text="Step")
    figure.update_yaxes(rangemode="tozero")
    return figure


def _add_means(figure: go.Figure, name: str, at: Sequence[float], found: Sequence[Interval]) -> None:
    means = [each.mean for each in found]
    figure.add_trace(
        go.Scatter(
            x=list(at),
            y=means,
            error_y=_errors(means, [each.low for each in found], [each.high for each in found]),
            mode="markers",
            name=name,
            marker={"size": 10, "color": COLOURS[name]},
        )
    )


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
