"""Small figures as SVG: panels of lines, points and bands. No library, so that a figure can be diffed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

WIDTH, HEIGHT, LEFT, BELOW, ABOVE, GAP = 250, 190, 44, 34, 24, 16
COLOURS = ("#3366cc", "#dc7633", "#2e8b57", "#8e44ad", "#7f8c8d", "#c0392b")
Points = Sequence[tuple[float, float]]


@dataclass
class Panel:
    """One plot.

    Attributes:
        title, x, y: texts.
        xs, ys: ends of the axes.
        log: whether the axes are logarithmic, `(x, y)`.
        ticks: where the axes have numbers, `(x, y)`.
        marks: SVG elements drawn so far.
    """

    title: str
    x: str
    y: str
    xs: tuple[float, float]
    ys: tuple[float, float]
    log: tuple[bool, bool] = (False, False)
    ticks: tuple[Sequence[float], Sequence[float]] = ((), ())
    marks: list[str] = field(default_factory=list)

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Pixels of a point, clipped to the panel."""
        across = _share(x, self.xs, self.log[0]) * (WIDTH - LEFT - 8)
        up = _share(y, self.ys, self.log[1]) * (HEIGHT - ABOVE - BELOW)
        return round(LEFT + across, 1), round(HEIGHT - BELOW - up, 1)

    def line(self, points: Points, colour: str, *, dashed: bool = False) -> None:
        """A line through points."""
        path = " ".join(f"{x},{y}" for x, y in (self.at(*point) for point in points))
        dash = ' stroke-dasharray="4 3"' if dashed else ""
        self.marks.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"{dash}/>'
        )

    def band(self, points: Sequence[tuple[float, float, float]], colour: str) -> None:
        """The area between `low` and `high` at each `x`, given as `(x, low, high)`."""
        edge = [(x, high) for x, _, high in points] + [(x, low) for x, low, _ in reversed(points)]
        path = " ".join(f"{x},{y}" for x, y in (self.at(*point) for point in edge))
        self.marks.append(f'<polygon points="{path}" fill="{colour}" fill-opacity="0.18"/>')

    def dots(self, points: Points, colour: str, radius: float = 1.3) -> None:
        """Points."""
        for x, y in (self.at(*point) for point in points):
            self.marks.append(f'<circle cx="{x}" cy="{y}" r="{radius}" fill="{colour}" fill-opacity="0.5"/>')

    def svg(self) -> str:
        """The panel's elements."""
        left, bottom = self.at(self.xs[0], self.ys[0])
        right, top = self.at(self.xs[1], self.ys[1])
        parts = [
            f'<rect x="{left}" y="{top}" width="{right - left}" height="{bottom - top}" fill="none" stroke="#999"/>'
        ]
        for tick in self.ticks[0]:
            x, _ = self.at(tick, self.ys[0])
            parts.append(f'<text x="{x}" y="{bottom + 12}" text-anchor="middle">{tick:g}</text>')
        for tick in self.ticks[1]:
            _, y = self.at(self.xs[0], tick)
            parts.append(f'<path d="M{left} {y}H{right}" stroke="#ddd"/>')
            parts.append(f'<text x="{left - 4}" y="{y + 3}" text-anchor="end">{tick:g}</text>')
        middle = (left + right) / 2
        parts.append(
            f'<text x="{middle}" y="{top - 8}" text-anchor="middle" font-weight="bold">{escape(self.title)}</text>'
        )
        parts.append(f'<text x="{middle}" y="{bottom + 26}" text-anchor="middle">{escape(self.x)}</text>')
        turn = f"translate(10 {(top + bottom) / 2}) rotate(-90)"
        parts.append(f'<text transform="{turn}" text-anchor="middle">{escape(self.y)}</text>')
        return "\n".join([*parts, *self.marks])


def figure(panels: Sequence[Panel], columns: int, legend: Sequence[tuple[str, str]] = ()) -> str:
    """An SVG document of panels in rows of `columns`; the legend names colours, `(text, colour)`."""
    rows = math.ceil(len(panels) / columns)
    width, height = columns * WIDTH + GAP, rows * (HEIGHT + GAP) + (22 if legend else 0)
    body = [f'<rect width="{width}" height="{height}" fill="white"/>']
    for index, panel in enumerate(panels):
        x, y = (index % columns) * WIDTH, (index // columns) * (HEIGHT + GAP)
        body.append(f'<g transform="translate({x} {y})">{panel.svg()}</g>')
    across = LEFT
    for text, colour in legend:
        y = height - 8
        body.append(f'<rect x="{across}" y="{y - 8}" width="14" height="8" fill="{colour}"/>')
        body.append(f'<text x="{across + 18}" y="{y}">{escape(text)}</text>')
        across += 34 + 6 * len(text)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    return f'{head} font-family="sans-serif" font-size="10">\n' + "\n".join(body) + "\n</svg>\n"


def _share(value: float, ends: tuple[float, float], log: bool) -> float:
    low, high = ends
    if log:
        value, low, high = (math.log(max(number, 1e-12)) for number in (value, low, high))
    return min(max((value - low) / (high - low), 0.0), 1.0)
