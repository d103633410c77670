"""The report of a sweep: the fronts of its studies over each other, and hypervolumes by seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from nas.files import write_atomically
from nas.report.overlay import Overlay
from nas.report.tables import Cell, Head, escaped, table
from nas.report.units import exact, significant


def write_overlay(
    name: str, found: Overlay, volumes: Mapping[str, Sequence[float]], path: str | Path
) -> Path:
    """Write the page as one HTML file that opens from disk.

    Args:
        name: of the sweep.
        volumes: hypervolumes by group of studies, one per seed.

    Returns:
        The absolute path.
    """
    target = Path(path).expanduser().resolve()
    write_atomically(target, render(name, found, volumes))
    return target


def render(name: str, found: Overlay, volumes: Mapping[str, Sequence[float]]) -> str:
    """The page as HTML."""
    from nas.report.overlay_figure import draw_overlay
    from nas.report.page import assemble
    from nas.report.sections import Plot, Section

    figure = draw_overlay(found)
    corner = ", ".join(
        f"{title} {exact(value, objective.unit)}"
        for title, value, objective in zip(found.titles(), found.reference, found.objectives)
    )
    plot = Plot(figure, figure, "Fronts of the sweep's studies", wide=True)
    fronts = Section("fronts", "Fronts over each other", "Each line is the front of one study.", [plot])
    told = f"Against the reference point {escaped(corner)}, the worst of all the studies' own."
    volume = Section("hypervolume", "Hypervolume by seed", told, after=_table(volumes))
    return assemble(name, f"{len(found.outlines)} studies", "", [], [fronts, volume])


def _table(volumes: Mapping[str, Sequence[float]]) -> str:
    rows = [
        [
            Cell(escaped(group)),
            Cell(significant(sum(each) / len(each), 4), sum(each) / len(each)),
            Cell(", ".join(significant(value, 4) for value in each)),
        ]
        for group, each in volumes.items()
        if each
    ]
    return table([Head("Studies"), Head("Mean"), Head("By seed")], rows, sortable=True)
