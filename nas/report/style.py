"""How every figure looks: few colours with fixed meanings, in a light and a dark edition.

Figures are drawn in the light colours. `DARK` has the dark partner of each, and a page that is
read in the dark exchanges them one for one (`report.js` does it in the report).

The qualitative colours are distinguishable under the common colour-vision deficiencies (after
Okabe and Ito, 2008); the ordered ones are matplotlib's viridis without its ends.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go

FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'

TEXT = "#1d2530"
MUTED = "#5c6773"
GRID = "#e7eaee"
LINE = "#c3cad3"
PAPER = "#fefefe"
FRONT = "#0f62ac"
FRONT_SOFT = "rgba(15,98,172,0.34)"
PRESET = "#c4570a"
PRESET_SOFT = "rgba(196,87,10,0.38)"
CLOUD = "#a3adb9"
INFEASIBLE = "#cc6677"
WHOLE = "#d3d9e0"

ORDERED = (
    "#472d7b", "#443983", "#3e4989", "#365c8d", "#31688e", "#2b748e", "#25838e", "#20928c",
    "#1f9f88", "#28ae80", "#3fbc73", "#5ec962", "#84d44b", "#a5cf2f", "#c2c61f", "#d9b80f",
)  # fmt: skip
ORDERED_DARK = (
    "#6a52ad", "#6761b3", "#5f72bb", "#5584bd", "#4b93bd", "#419fba", "#38aab5", "#30b4ad",
    "#30bda3", "#3fc796", "#57d186", "#74da73", "#97e35c", "#b8e645", "#d6e834", "#f2e62b",
)  # fmt: skip
TIME = ("#c9dbee", "#8fb4dc", "#4f86c0", "#1f5b9c", "#0b3565")
TIME_DARK = ("#29405c", "#3a6394", "#5288c4", "#86b6e8", "#cfe6ff")

DARK: dict[str, str] = {
    TEXT: "#e4e8ee",
    MUTED: "#98a3b1",
    GRID: "#262d37",
    LINE: "#424c59",
    PAPER: "#12161c",
    FRONT: "#6cb2f7",
    FRONT_SOFT: "rgba(108,178,247,0.38)",
    PRESET: "#f5a35c",
    PRESET_SOFT: "rgba(245,163,92,0.42)",
    CLOUD: "#5b6673",
    INFEASIBLE: "#b8606f",
    WHOLE: "#39424e",
    **dict(zip(ORDERED, ORDERED_DARK)),
    **dict(zip(TIME, TIME_DARK)),
}


def ordered(n: int) -> list[str]:
    """n colours in order; repeated where there are more than `ORDERED` has."""
    picks = np.linspace(0, len(ORDERED) - 1, max(n, 2)).round().astype(int)
    return [ORDERED[pick] for pick in picks[:n]]


def time_scale() -> list[list[Any]]:
    """Colour scale for the course of a run, pale to strong."""
    return [[index / (len(TIME) - 1), colour] for index, colour in enumerate(TIME)]


def colour_bar(title: str) -> dict[str, Any]:
    """A thin colour bar beside the plot."""
    small = {"size": 11, "color": MUTED}
    shared = {"thickness": 8, "outlinewidth": 0, "len": 0.9, "nticks": 4, "tickfont": small}
    return {**shared, "title": {"text": title, "font": {"size": 12, "color": TEXT}}}


def figure(height: int) -> go.Figure:
    """An empty figure of that height in pixels, as wide as its place."""
    figure = go.Figure()
    figure.update_layout(template=_template(), height=height)
    return figure


def _template() -> go.layout.Template:
    axis = {
        "gridcolor": GRID,
        "linecolor": LINE,
        "tickcolor": LINE,
        "zeroline": False,
        "showline": True,
        "ticks": "outside",
        "ticklen": 4,
        "automargin": True,
        "title": {"standoff": 10, "font": {"size": 13, "color": TEXT}},
        "tickfont": {"size": 12, "color": MUTED},
    }
    layout = {
        "font": {"family": FONT, "size": 13, "color": TEXT},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "margin": {"l": 56, "r": 16, "t": 16, "b": 48},
        "xaxis": {**axis, "showgrid": False},
        "yaxis": {**axis, "showline": False, "ticks": ""},
        "hoverlabel": {
            "align": "left",
            "bgcolor": PAPER,
            "bordercolor": LINE,
            "font": {"family": FONT, "size": 12, "color": TEXT},
        },
        "hovermode": "closest",
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": LINE, "activecolor": MUTED},
        "legend": {
            "orientation": "h",
            "x": 0,
            "xanchor": "left",
            "y": 1.02,
            "yanchor": "bottom",
            "font": {"size": 12, "color": TEXT},
            "itemsizing": "constant",
            "bgcolor": "rgba(0,0,0,0)",
        },
        "colorway": list(ORDERED[::3]),
    }
    return go.layout.Template(layout=layout)
