"""`shapes` as a data set: `shapes:size=6000,test=2000,classes=10,difficulty=easy,seed=0`."""

from __future__ import annotations

from dataclasses import dataclass

from nas.data.bundle import DataBundle, hold_out
from nas.data.images import TensorImages
from nas.data.options import MOST, read_options
from nas.data.rendering import draw_shapes
from nas.data.shapes import DIFFICULTIES, MAX_CLASSES, MIN_CLASSES, Difficulty, class_names

TRAIN, TEST = 0, 1
LICENCE = "none is needed: the images are drawn by this package, from numbers alone"
_BOUNDS = {"size": (1, MOST), "test": (1, MOST), "classes": (MIN_CLASSES, MAX_CLASSES), "seed": (0, MOST)}


@dataclass(frozen=True)
class ShapesOptions:
    """What a `shapes` data set is made of.

    Attributes:
        size, test: images to train and search on, and to test on.
        classes: 2 to 20.
        difficulty: `easy` (a few hundred steps of a small supernet teach it), `medium`, `hard` (any rotation,
            blobs of similar size, little contrast to the background).
        seed: of the images; runs with other seeds of their own see the same images.
    """

    size: int = 6000
    test: int = 2000
    classes: int = 10
    difficulty: Difficulty = "easy"
    seed: int = 0


def load_shapes(text: str, side: int, search_share: float, seed: int) -> DataBundle:
    """Draw a data set of `side` pixels; `seed` chooses the search split.

    Raises:
        NasError: an unknown option or a value out of range.
    """
    options = parse_options(text)
    name = "shapes:" + ",".join(f"{key}={value}" for key, value in vars(options).items())
    rest = _draw(options, options.size, side, TRAIN)
    test = _draw(options, options.test, side, TEST)
    train, search = hold_out(rest, search_share, seed, name)
    return DataBundle(name, class_names(options.classes), train, search, test, True, LICENCE)


def parse_options(text: str) -> ShapesOptions:
    """Options from `key=value,…`.

    Raises:
        NasError: an unknown key, a value that is no whole number, or one out of range.
    """
    return ShapesOptions(**read_options("shapes", text, _BOUNDS, {"difficulty": DIFFICULTIES}))


def _draw(options: ShapesOptions, count: int, side: int, stream: int) -> TensorImages:
    images, labels = draw_shapes(
        count,
        side,
        classes=options.classes,
        difficulty=options.difficulty,
        seed=options.seed,
        stream=stream,
    )
    return TensorImages(images, labels)
