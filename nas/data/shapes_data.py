"""`shapes` as a data set: `shapes:size=6000,test=2000,classes=10,difficulty=easy,seed=0`."""

from __future__ import annotations

from dataclasses import dataclass

from nas.data.bundle import DataBundle, hold_out
from nas.data.images import TensorImages
from nas.data.rendering import draw_shapes
from nas.data.shapes import DIFFICULTIES, MAX_CLASSES, MIN_CLASSES, Difficulty, class_names
from nas.errors import NasError, unknown

TRAIN, TEST = 0, 1
LICENCE = "none is needed: the images are drawn by this package, from numbers alone"
_SMALLEST = {"size": 1, "test": 1, "classes": MIN_CLASSES, "seed": 0}


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
    values: dict[str, int | str] = {}
    for part in filter(None, text.split(",")):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if key not in vars(ShapesOptions()):
            raise NasError(f"data 'shapes': {unknown('option', key, vars(ShapesOptions()))}")
        if not equals:
            raise NasError(f"data 'shapes': write the option {key!r} as {key}=VALUE.")
        values[key] = _difficulty(value) if key == "difficulty" else _number(key, value)
    return ShapesOptions(**values)  # type: ignore[arg-type]


def _difficulty(value: str) -> str:
    if value not in DIFFICULTIES:
        raise NasError(f"data 'shapes': {unknown('difficulty', value, DIFFICULTIES)}")
    return value


def _number(key: str, value: str) -> int:
    low, high = _SMALLEST[key], MAX_CLASSES if key == "classes" else 2**31
    if not (value.isascii() and value.isdigit() and low <= int(value) <= high):
        raise NasError(f"data 'shapes': {key}={value!r} is not a whole number of {low}..{high}.")
    return int(value)


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
