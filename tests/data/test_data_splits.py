"""Splits are stratified, disjoint and complete, and the test images never move."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.data.bundle import hold_out
from nas.data.images import TensorImages
from nas.data.load import load_data
from nas.errors import NasError


def numbered(labels: list[int]) -> TensorImages:
    """Images whose only pixel is their position."""
    pixels = torch.arange(len(labels), dtype=torch.float32)[:, None, None, None] / 1000
    return TensorImages(pixels, torch.tensor(labels))


def members(images: TensorImages) -> list[int]:
    return (images.pixels.flatten() * 1000).round().int().tolist()


@settings(max_examples=40, deadline=None)
@given(
    counts=st.lists(st.integers(3, 40), min_size=2, max_size=6),
    share=st.floats(0.05, 0.6),
    seed=st.integers(0, 99),
)
def test_hold_out_takes_the_share_of_each_class(counts: list[int], share: float, seed: int) -> None:
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts)).tolist()
    rest, held = hold_out(numbered(labels), share, seed, "test")
    assert sorted(members(rest) + members(held)) == list(range(len(labels)))
    for label, count in enumerate(counts):
        taken = int((held.labels == label).sum())
        assert taken == max(round(share * count), 1)
    for images in (rest, held):
        assert [labels[i] for i in members(images)] == images.labels.tolist()  # type: ignore[arg-type]


def test_hold_out_refuses_a_class_of_one() -> None:
    with pytest.raises(NasError, match="class b has 1 image left for training and testing"):
        hold_out(numbered([0, 0, 1]), 0.5, 0, "mine", ("a", "b"), "testing")


def test_digits_are_scikit_learns() -> None:
    from sklearn.datasets import load_digits

    data = load_data("digits", side=8, search_share=0.2, seed=0)
    original = {(image.tobytes(), label) for image, label in zip(*load_digits(return_X_y=True), strict=True)}
    seen = []
    for split in (data.train, data.search, data.test):
        pixels = split.get(range(len(split.labels)), 8)
        assert torch.equal(pixels[:, 0], pixels[:, 2])
        flat = (pixels[:, 0].flatten(1) * 16).double().numpy()
        seen += [(row.tobytes(), int(label)) for row, label in zip(flat, split.labels, strict=True)]
    assert len(seen) == 1797 and set(seen) == original
    assert not data.mirrored and data.class_names == tuple("0123456789")
    frequencies = [split.labels.bincount() / len(split.labels) for split in (data.train, data.test)]
    assert torch.allclose(frequencies[0], frequencies[1], atol=0.01)


def test_the_seed_moves_the_search_split_and_not_the_test_split() -> None:
    a, b = (load_data("digits", side=8, search_share=0.2, seed=seed) for seed in (0, 1))
    assert torch.equal(a.test.get(range(9), 8), b.test.get(range(9), 8))
    assert not torch.equal(a.search.get(range(9), 8), b.search.get(range(9), 8))
    again = load_data("digits", side=8, search_share=0.2, seed=1)
    assert torch.equal(again.search.get(range(9), 8), b.search.get(range(9), 8))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("digit", "Did you mean 'digits'"),
        ("imagefoldr:/tmp", "Did you mean 'imagefolder'"),
        ("mnist", "Known: digits, numbers"),
        ("digits:size=3", "no options"),
        ("imagefolder", "needs a path"),
        ("hf:", "needs a name"),
    ],
)
def test_wrong_specifications(spec: str, message: str) -> None:
    with pytest.raises(NasError, match=message):
        load_data(spec, side=8, search_share=0.2, seed=0)
