"""`numbers`: two digits are read as one number, and no digit of one split is in another."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate

from nas.data.digits import split_digits
from nas.data.load import load_data
from nas.errors import NasError


def test_an_image_is_the_digits_of_its_number() -> None:
    data = load_data("numbers:size=400,test=90,classes=30", side=16, search_share=0.25, seed=3)
    assert (len(data.train.labels), len(data.search.labels), len(data.test.labels)) == (300, 100, 90)
    assert data.class_names[0] == "00" and data.class_names[29] == "29" and not data.mirrored
    _, tested = split_digits()
    known = tested.get(list(range(len(tested.labels))), 8)
    wide = interpolate(known, size=(32, 16), mode="bilinear", align_corners=False)[:, 0]
    images = data.test.get(list(range(90)), 32)[:, 0]
    for image, label in zip(images, data.test.labels.tolist()):
        halves = ((image[:, :15], wide[:, :, :15], label // 10), (image[:, 17:], wide[:, :, 1:], label % 10))
        for half, drawn, digit in halves:  # the two columns between them mix both
            apart = ((drawn - half) ** 2).flatten(1).sum(dim=1)
            assert tested.labels[int(apart.argmin())] == digit and apart.min() < 1e-8


def test_splits_share_no_digit_and_classes_are_balanced() -> None:
    data = load_data("numbers:size=600,test=60,classes=12", side=16, search_share=0.5, seed=0)
    halves = []
    for split in (data.train, data.search, data.test):
        images = split.get(list(range(len(split.labels))), 32)[:, 0]
        halves.append({half.numpy().tobytes() for image in images for half in (image[:, :15], image[:, 17:])})
        counts = np.bincount(split.labels.numpy(), minlength=12)
        assert counts.max() - counts.min() <= 1
    assert not halves[0] & halves[1] and not halves[0] & halves[2] and not halves[1] & halves[2]


def test_the_test_images_do_not_hang_on_the_run() -> None:
    one, other = (load_data("numbers:size=200", side=16, search_share=0.2, seed=seed) for seed in (0, 1))
    assert torch.equal(one.test.get([0, 1, 2], 16), other.test.get([0, 1, 2], 16))
    assert not torch.equal(one.search.get([0, 1, 2], 16), other.search.get([0, 1, 2], 16))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("numbers:size=50", "42 training, 8 search and 1000 test images cannot show each of the 30 classes"),
        ("numbers:classes=101", "classes='101' is not a whole number of 2..100"),
        ("numbers:clases=10", "Did you mean 'classes'?"),
        ("numbers:size", "write the option 'size' as size=VALUE"),
    ],
)
def test_what_is_no_data_set(text: str, says: str) -> None:
    with pytest.raises(NasError) as error:
        load_data(text, side=16, search_share=0.15, seed=0)
    assert says in str(error.value)
