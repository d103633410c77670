"""Where to crop: at random (Szegedy et al. 2015, as every ImageNet recipe does it) or in the centre."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

AREA = (0.08, 1.0)
ASPECT = (3 / 4, 4 / 3)
TRIES = 10
NUMBERS = 4 * TRIES
CENTRE = 224 / 256

Box = tuple[float, float, float, float]


def random_box(width: int, height: int, numbers: Sequence[float] | NDArray[np.float64]) -> Box:
    """Left, top, right, bottom of a random crop, in pixels.

    Area and aspect ratio are drawn up to ten times until the crop fits; then the centre is taken, as wide or as
    high as the aspect range allows.

    Args:
        numbers: 40 uniform numbers of 0..1.
    """
    draws = np.asarray(numbers, dtype=np.float64).reshape(TRIES, 4)
    area = width * height * (AREA[0] + (AREA[1] - AREA[0]) * draws[:, 0])
    aspect = ASPECT[0] * (ASPECT[1] / ASPECT[0]) ** draws[:, 1]
    wide, high = np.round(np.sqrt(area * aspect)), np.round(np.sqrt(area / aspect))
    fits = np.flatnonzero((wide >= 1) & (wide <= width) & (high >= 1) & (high <= height))
    if len(fits):
        first = fits[0]
        w, h = float(wide[first]), float(high[first])
        left = float(np.floor(draws[first, 2] * (width - w + 1)))
        top = float(np.floor(draws[first, 3] * (height - h + 1)))
        return left, top, left + w, top + h
    return _centred(width, height, min(width, height * ASPECT[1]), min(height, width / ASPECT[0]))


def centre_box(width: int, height: int) -> Box:
    """The middle square, 224/256 of the shorter side: ImageNet's evaluation crop."""
    side = min(width, height) * CENTRE
    return _centred(width, height, side, side)


def _centred(width: int, height: int, w: float, h: float) -> Box:
    left, top = (width - w) / 2, (height - h) / 2
    return left, top, left + w, top + h
