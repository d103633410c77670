"""Where names go in a scatter plot so that they can be read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_SIDES = {
    "middle right": (1, 0),
    "middle left": (-1, 0),
    "top right": (1, 1),
    "bottom right": (1, -1),
    "top left": (-1, 1),
    "bottom left": (-1, -1),
    "top center": (0, 1),
    "bottom center": (0, -1),
}
_LETTER, _LINE, _GAP = 0.017, 0.034, 0.012  # of a plot: a letter's width, a line's height, half a marker
_BESIDE_PLOT, _ON_NAME, _ON_POINT = 4.0, 2.0, 1.0


def label_sides(at: Floats, names: Sequence[str], others: Floats) -> list[str]:
    """A side for each name, greedily: inside the plot, then clear of names before it, then of points.

    Args:
        at: float (n, 2), the named points, as shares of the plot's width and height.
        others: float (m, 2), points without a name.

    Returns:
        n of Plotly's text positions, such as `"middle right"`.
    """
    points = np.concatenate([at, others])
    taken = np.empty((0, 4))
    chosen = []
    for here, name in zip(at, names):
        boxes = {side: _box(here, name, step) for side, step in _SIDES.items()}
        costs = {side: _cost(box, taken, points) for side, box in boxes.items()}
        best = min(costs, key=costs.__getitem__)
        chosen.append(best)
        taken = np.vstack([taken, boxes[best]])
    return chosen


def _box(here: Floats, name: str, step: tuple[int, int]) -> Floats:
    """Left, bottom, right, top of a name beside a point."""
    half = np.array([_LETTER * len(name), _LINE]) / 2
    centre = here + np.array(step) * (half + _GAP)
    return np.concatenate([centre - half, centre + half])


def _cost(box: Floats, taken: Floats, points: Floats) -> float:
    beside = bool((box[:2] < 0).any() or (box[2:] > 1).any())
    names = (box[:2] < taken[:, 2:]).all(axis=1) & (box[2:] > taken[:, :2]).all(axis=1)
    covered = (box[:2] < points + _GAP / 2).all(axis=1) & (box[2:] > points - _GAP / 2).all(axis=1)
    return float(_BESIDE_PLOT * beside + _ON_NAME * names.sum() + _ON_POINT * covered.sum())
