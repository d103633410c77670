"""`numbers`: two handwritten digits side by side, read as one number: `numbers:size=5000,test=1000,classes=30,seed=0`.

Made of scikit-learn's 1,797 digits, so that images for training, search and test come from different digits. There are
as many images as asked for, so that accuracies can be told apart. Unlike single digits, which the smallest networks
know as well as the largest, numbers are known the better the larger a network is: a supernet of ElasticViT that learned
for 210 steps had 14 % at 3 ms, 54 % at 10 ms and 67 % at 20 ms of a Pixel 6 (seed 0, 2026-11-30).

Images are random pairs of the digits of their split, so an interval of an accuracy is that of all such pairs, not of
digits by other writers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from nas.data.bundle import DataBundle, hold_out
from nas.data.digits import LICENCE, split_digits
from nas.data.images import Images, TensorImages
from nas.data.options import MOST, read_options
from nas.errors import NasError

SIDE, DIGIT = 32, 8
"""Pixels of an image and of a digit: two digits beside each other, at twice their width and four times their height."""
HELD_OUT = 0.3
"""Share of the digits that images of the search are made of: as many as test images are made of."""
TRAIN, SEARCH, TEST = range(3)


@dataclass(frozen=True)
class NumbersOptions:
    """What a `numbers` data set is made of.

    Attributes:
        size, test: images to train and search on, and to test on.
        classes: 2 to 100; numbers from 0 on.
        seed: of the pairs; which digits the search has hangs on the run's seed.
    """

    size: int = 5000
    test: int = 1000
    classes: int = 30
    seed: int = 0


def load_numbers(text: str, search_share: float, seed: int) -> DataBundle:
    """A data set of numbers; `seed` chooses the digits of the search images.

    Raises:
        NasError: an unknown option, a value out of range, or too few images for one of each class in each split.
    """
    bounds = {"size": (1, MOST), "test": (1, MOST), "classes": (2, 100), "seed": (0, MOST)}
    options = NumbersOptions(**read_options("numbers", text, bounds))
    name = "numbers:" + ",".join(f"{key}={value}" for key, value in vars(options).items())
    searched = round(search_share * options.size)
    counts = {TRAIN: options.size - searched, SEARCH: searched, TEST: options.test}
    if min(counts.values()) < options.classes:
        raise NasError(
            f"data {name}: {counts[TRAIN]} training, {searched} search and {options.test} test images cannot show "
            f"each of the {options.classes} classes; name a larger size or test, or fewer classes."
        )
    rest, tested = split_digits()
    trained, held = hold_out(rest, HELD_OUT, seed, name)
    digits = {TRAIN: trained, SEARCH: held, TEST: tested}
    train, search, test = (_drawn(digits[split], count, options, split) for split, count in counts.items())
    width = len(str(options.classes - 1))
    names = tuple(f"{number:0{width}d}" for number in range(options.classes))
    return DataBundle(name, names, train, search, test, False, LICENCE)


def _drawn(digits: Images, count: int, options: NumbersOptions, split: int) -> TensorImages:
    """Images of numbers, all classes equally often, in a random order."""
    rng = np.random.default_rng([options.seed, split])
    numbers = rng.permutation(np.arange(count) % options.classes)
    tens, ones = (_one_of_each(digits.labels, wanted, rng) for wanted in (numbers // 10, numbers % 10))
    pairs = torch.cat([digits.get(tens, DIGIT), digits.get(ones, DIGIT)], dim=3)
    pixels = interpolate(pairs, size=(SIDE, SIDE), mode="bilinear", align_corners=False)
    return TensorImages(pixels, torch.from_numpy(numbers))


def _one_of_each(labels: Tensor, wanted: NDArray[np.int64], rng: np.random.Generator) -> list[int]:
    """A row of a random digit for each wanted one."""
    rows = np.zeros(len(wanted), dtype=np.int64)
    for digit in np.unique(wanted):
        places = np.flatnonzero(wanted == digit)
        rows[places] = rng.choice(np.flatnonzero(labels.numpy() == digit), size=len(places))
    return rows.tolist()
