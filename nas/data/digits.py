"""scikit-learn's handwritten digits: 1,797 images of 8×8, embedded in the package."""

from __future__ import annotations

import numpy as np
import torch

from nas.data.bundle import DataBundle, hold_out
from nas.data.images import Images, TensorImages

TEST_SHARE = 0.25
TEST_SEED = 0
LICENCE = (
    "the terms of the UCI repository for Optical Recognition of Handwritten Digits (E. Alpaydin, C. Kaynak, 1998), of "
    "which scikit-learn holds a copy: https://archive.ics.uci.edu/dataset/80"
)


def load_digits(search_share: float, seed: int) -> DataBundle:
    """Digits with a fixed test quarter, whatever the seed."""
    rest, test = split_digits()
    train, search = hold_out(rest, search_share, seed, "digits")
    return DataBundle("digits", tuple("0123456789"), train, search, test, False, LICENCE)


def split_digits() -> tuple[Images, Images]:
    """The digits to train and search on, and the test quarter."""
    from sklearn import datasets

    data = datasets.load_digits()
    pixels = torch.from_numpy(np.asarray(data.images, dtype=np.float32) / 16.0)[:, None].repeat(1, 3, 1, 1)
    labels = torch.from_numpy(np.asarray(data.target, dtype=np.int64))
    return hold_out(TensorImages(pixels, labels), TEST_SHARE, TEST_SEED, "digits")
