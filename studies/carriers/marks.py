"""Two marks in different windows: are they of one kind? Images in quadruples that no sum over windows can answer.

A quadruple is two windows, a place in each, noise, and two kinds i ≠ j; its four images are (i, i), (j, j), (i, j) and
(j, i), of which the first two are "equal". What a single window shows is seen once in an equal and once in an unequal
image, so that a score which is a sum over windows, s = a(left) + b(right), has

    s(i, i) + s(j, j) = s(i, j) + s(j, i):

it can never classify a whole quadruple rightly, never more than three images of four, and its mean cross-entropy is at
least ln 2, by convexity.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from nas.data.bundle import DataBundle, hold_out
from nas.data.images import TensorImages
from nas.errors import NasError
from nas.plugins.register import data

SIDE, WINDOW, MARK, MARGIN = 32, 16, 6, 4
TRAIN, TEST = 0, 1
BACKGROUND, INK, NOISE = 0.3, 0.9, 0.05
CLASSES = ("unequal", "equal")
GLYPHS = (
    "######/#....#/#....#/#....#/#....#/######",
    "..##../..##../######/######/..##../..##..",
    "#....#/.#..#./..##../..##../.#..#./#....#",
    "######/....../######/######/....../######",
)
Pixels = NDArray[np.float32]


def glyphs() -> Pixels:
    """The kinds of marks `(kinds, 6, 6)`, 0 or 1."""
    return np.array([[[c == "#" for c in line] for line in text.split("/")] for text in GLYPHS], np.float32)


def draw(quadruples: int, seed: int, stream: int) -> tuple[Pixels, NDArray[np.int64]]:
    """Images `(4 · quadruples, 32, 32)` in 0..1 and labels, quadruple after quadruple."""
    rng = np.random.default_rng([seed, stream])
    kinds, images, labels = glyphs(), [], []
    for _ in range(quadruples):
        noise = rng.normal(BACKGROUND, NOISE, (SIDE, SIDE)).astype(np.float32)
        i, j = rng.choice(len(kinds), 2, replace=False)
        windows = rng.choice((SIDE // WINDOW) ** 2, 2, replace=False)
        corners = [_corner(int(window), rng) for window in windows]
        for pair in ((i, i), (j, j), (i, j), (j, i)):
            images.append(_marked(noise, corners, [kinds[kind] for kind in pair]))
            labels.append(int(pair[0] == pair[1]))
    return np.clip(np.stack(images), 0, 1), np.array(labels, np.int64)


def _corner(window: int, rng: np.random.Generator) -> tuple[int, int]:
    """Where a mark lies inside a window, so far from its border that no convolution sees it from another window."""
    down, across = divmod(window, SIDE // WINDOW)
    y, x = rng.integers(MARGIN, WINDOW - MARK - MARGIN + 1, 2)
    return down * WINDOW + int(y), across * WINDOW + int(x)


def _marked(noise: Pixels, corners: list[tuple[int, int]], marks: list[Pixels]) -> Pixels:
    image = noise.copy()
    for (y, x), mark in zip(corners, marks):
        image[y : y + MARK, x : x + MARK] += (INK - BACKGROUND) * mark
    return image


@data("marks")
def load_marks(rest: str, side: int, search_share: float, seed: int) -> DataBundle:
    """`marks:TRAIN,TEST` quadruples, always the same; `seed` chooses the search split.

    Raises:
        NasError: not two numbers.
    """
    try:
        train, test = (int(number) for number in rest.split(","))
    except ValueError:
        raise NasError(
            f"data 'marks': write marks:TRAIN,TEST, numbers of quadruples, not {rest!r}."
        ) from None
    name = f"marks:{train},{test}"
    rest_images, test_images = _images(train, TRAIN), _images(test, TEST)
    kept, search = hold_out(rest_images, search_share, seed, name)
    return DataBundle(name, CLASSES, kept, search, test_images, False, "none is needed: drawn from numbers")


def _images(quadruples: int, stream: int) -> TensorImages:
    pixels, labels = draw(quadruples, 0, stream)
    return TensorImages(torch.from_numpy(pixels)[:, None].repeat(1, 3, 1, 1), torch.from_numpy(labels))
