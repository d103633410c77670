"""`shapes`: scenes whose class hangs on outline, texture and size relation at once.

A scene shows two textured blobs on a cluttered background. Its class is that of the *larger* blob: the
number of lobes of the outline and the number of crossed gratings of the texture. The smaller blob has an
outline and a texture of its own and counts for nothing, so a network has to compare the two (global
context), to count lobes (outline) and to resolve gratings (fine detail).

A scene is a continuous function of the plane, fixed by (seed, stream, index) alone; `nas.data.rendering`
draws it at any side. Labels survive mirroring, rotation and shifts that keep the larger blob in view.

What makes an image hard is drawn anew for each image, from distributions with long tails (turn, slant
and drift are a uniform number of -1..1 raised to `Level.peak`, its sign kept): a data set holds easy and hard images
side by side, so that accuracy grows smoothly with capacity, resolution and training instead of in one jump.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

Difficulty = Literal["easy", "medium", "hard"]
DIFFICULTIES: tuple[Difficulty, ...] = get_args(Difficulty)
OUTLINES = (3, 4, 5, 6, 7)
TEXTURES = ("stripes", "plaid", "triangles", "plain")
MIN_CLASSES, MAX_CLASSES = 2, len(OUTLINES) * len(TEXTURES)
LATTICE = 32
GRATINGS = 3

_WEIGHTS = ((1.0, 0.0, 0.0), (0.71, 0.71, 0.0), (0.58, 0.58, 0.58), (0.0, 0.0, 0.0))
_SPACING = (0.0, math.pi / 2, math.pi / 3, 0.0)
_COLUMNS = 64
_PLACES = 6
_WORDS_PER_BLOCK = 4


@dataclass(frozen=True)
class Level:
    """A difficulty. Lengths are in image sides, frequencies in cycles per side, greys in 0..1.

    Attributes:
        radius: range of the larger blob's radius.
        ratio: range of the smaller blob's radius over the larger one's.
        frequency: range of the gratings' frequency.
        turn: largest rotation of an outline, as a share of its own period (0.5 reaches every rotation).
        slant: largest rotation of a texture, as a share of a quarter turn (1 reaches every direction of stripes).
        drift: largest shift of a texture against its blob, as a share of half a period (1 reaches every phase).
        peak: exponent that draws turns, slants and drifts towards 0 (1: uniform).
        contrast: amplitude of a texture.
        clutter: standard deviation of the background's noise.
        background, foreground: ranges of grey that colour channels are drawn from.
    """

    radius: tuple[float, float]
    ratio: tuple[float, float]
    frequency: tuple[float, float]
    turn: float
    slant: float
    drift: float
    peak: float
    contrast: float
    clutter: float
    background: tuple[float, float]
    foreground: tuple[float, float]


LEVELS: dict[Difficulty, Level] = {
    "easy": Level(
        radius=(0.38, 0.46),
        ratio=(0.20, 0.35),
        frequency=(4.0, 7.0),
        turn=0.08,
        slant=0.30,
        drift=0.30,
        peak=3.0,
        contrast=0.30,
        clutter=0.04,
        background=(0.05, 0.35),
        foreground=(0.60, 0.90),
    ),
    "medium": Level(
        radius=(0.31, 0.40),
        ratio=(0.35, 0.50),
        frequency=(4.0, 9.0),
        turn=0.25,
        slant=0.75,
        drift=0.75,
        peak=3.0,
        contrast=0.30,
        clutter=0.06,
        background=(0.05, 0.40),
        foreground=(0.50, 0.90),
    ),
    "hard": Level(
        radius=(0.26, 0.36),
        ratio=(0.50, 0.70),
        frequency=(4.0, 10.0),
        turn=0.50,
        slant=1.00,
        drift=1.00,
        peak=3.0,
        contrast=0.30,
        clutter=0.08,
        background=(0.05, 0.55),
        foreground=(0.45, 0.95),
    ),
}


@dataclass(frozen=True)
class Blobs:
    """One blob of each of n scenes; all are `(n,)` but `weights`, `angles`, `phases` and `colour`, `(n, 3)`.

    Attributes:
        x, y, radius: of the centre and the outermost point, in image sides.
        lobes: number of lobes.
        turn: rotation of the outline, in radians of its own period.
        frequency: of the gratings, in cycles per side.
        weights, angles, phases: of up to three gratings; a weight of 0 leaves one out, a phase of 0 puts a
            crest on the blob's centre.
        colour: red, green and blue in 0..1.
    """

    x: Tensor
    y: Tensor
    radius: Tensor
    lobes: Tensor
    turn: Tensor
    frequency: Tensor
    weights: Tensor
    angles: Tensor
    phases: Tensor
    colour: Tensor


@dataclass(frozen=True)
class Scenes:
    """n scenes that can be drawn at any side.

    Attributes:
        labels: int64 `(n,)`.
        larger, smaller: the two blobs.
        corners: greys of the background's four corners, `(n, 3, 2, 2)`.
        lattice: noise of unit variance in 32×32 squares, `(n, 1, 32, 32)`.
        level: difficulty.
    """

    labels: Tensor
    larger: Blobs
    smaller: Blobs
    corners: Tensor
    lattice: Tensor
    level: Level


def class_names(classes: int) -> tuple[str, ...]:
    """Names of `classes` (2 to 20) classes, such as `"5 lobes, plaid"`."""
    kinds = _textures(classes)
    return tuple(f"{OUTLINES[c // kinds]} lobes, {TEXTURES[c % kinds]}" for c in range(classes))


def make_scenes(
    start: int, count: int, *, classes: int, difficulty: Difficulty, seed: int, stream: int
) -> Scenes:
    """Scenes `start` to `start + count - 1` of a stream; each is the same in whatever range it is asked for.

    Args:
        classes: 2 to 20; labels are uniform.
        seed, stream: of the random numbers; streams of one seed are independent (training, test).
    """
    level = LEVELS[difficulty]
    draws = _Draws(_uniforms(seed, 2 * stream, start, count, _COLUMNS))
    labels, others = draws.integers(classes), draws.integers(classes)
    radius = draws.between(level.radius)
    small = radius * draws.between(level.ratio)
    x, y = draws.place(radius), draws.place(radius)
    far_x, far_y = _farthest(draws, small, x, y)
    larger = _blobs(draws, level, x, y, radius, labels, classes)
    smaller = _blobs(draws, level, far_x, far_y, small, others, classes)
    corners = draws.many(12, level.background).view(count, 3, 2, 2)
    noise = _uniforms(seed, 2 * stream + 1, start, count, LATTICE * LATTICE)
    lattice = ((noise - 0.5) * math.sqrt(12.0)).view(count, 1, LATTICE, LATTICE)
    return Scenes(labels, larger, smaller, corners, lattice, level)


class _Draws:
    """Hands out columns of uniform numbers, always in the same order."""

    def __init__(self, numbers: Tensor) -> None:
        self._columns: Iterator[Tensor] = iter(numbers.unbind(1))

    def between(self, ends: tuple[float, float]) -> Tensor:
        return ends[0] + (ends[1] - ends[0]) * next(self._columns)

    def many(self, count: int, ends: tuple[float, float]) -> Tensor:
        return torch.stack([self.between(ends) for _ in range(count)], 1)

    def integers(self, count: int) -> Tensor:
        return (next(self._columns) * count).long().clamp_max_(count - 1)

    def place(self, radius: Tensor) -> Tensor:
        """A coordinate that keeps a blob of this radius in view, but for the tips of its lobes."""
        return 0.95 * radius + (1 - 1.9 * radius) * next(self._columns)

    def peaked(self, largest: float, peak: float) -> Tensor:
        number = 2 * next(self._columns) - 1
        return number.sign() * number.abs().pow(peak) * largest


def _uniforms(seed: int, stream: int, start: int, count: int, columns: int) -> Tensor:
    """float32 `(count, columns)`, rows `start` onwards of an endless table.

    Philox is a counter: skipping to a row costs nothing, so that a row depends on its index alone.
    """
    bits = np.random.Philox(key=np.array([seed, stream], dtype=np.uint64))
    bits.advance(start * columns // _WORDS_PER_BLOCK)
    return torch.from_numpy(np.random.Generator(bits).random((count, columns)).astype(np.float32))


def _farthest(draws: _Draws, radius: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Of a few random places for the smaller blob, the one farthest from the larger."""
    places_x = torch.stack([draws.place(radius) for _ in range(_PLACES)], 1)
    places_y = torch.stack([draws.place(radius) for _ in range(_PLACES)], 1)
    distance = (places_x - x[:, None]).square() + (places_y - y[:, None]).square()
    best = distance.argmax(1, keepdim=True)
    return places_x.gather(1, best)[:, 0], places_y.gather(1, best)[:, 0]


def _blobs(
    draws: _Draws, level: Level, x: Tensor, y: Tensor, radius: Tensor, labels: Tensor, classes: int
) -> Blobs:
    kinds = _textures(classes)
    texture = labels % kinds
    slant = draws.peaked(level.slant * math.pi / 2, level.peak)
    spacing = torch.tensor(_SPACING)[texture]
    return Blobs(
        x=x,
        y=y,
        radius=radius,
        lobes=torch.tensor(OUTLINES)[labels // kinds],
        turn=draws.peaked(level.turn * 2 * math.pi, level.peak),
        frequency=draws.between(level.frequency),
        weights=torch.tensor(_WEIGHTS)[texture],
        angles=slant[:, None] + spacing[:, None] * torch.arange(GRATINGS),
        phases=torch.stack([draws.peaked(level.drift * math.pi, level.peak) for _ in range(GRATINGS)], 1),
        colour=draws.many(3, level.foreground),
    )


def _textures(classes: int) -> int:
    return math.ceil(classes / len(OUTLINES))
