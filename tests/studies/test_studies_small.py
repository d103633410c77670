"""The small studies' own parts: intervals over seeds, marks that no single window can compare, heads that are alike."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from scipy import stats
from study_modules import importable

from nas.errors import NasError


@pytest.fixture(autouse=True, scope="module")
def _importable() -> Iterator[None]:
    with importable("shared", "carriers", "cascade"):
        yield


def test_paired_interval_is_that_of_a_paired_t_test() -> None:
    from seeds import paired

    first, second = np.random.default_rng(0).random((2, 7))
    found, reference = paired(first.tolist(), second.tolist()), stats.ttest_rel(first, second)
    low, high = reference.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((low, high))
    assert found.holds(0) == (reference.pvalue > 0.05)


def test_one_seed_has_no_interval() -> None:
    from seeds import interval

    with pytest.raises(NasError, match="two seeds"):
        interval([0.5])


def test_a_window_is_seen_as_often_in_equal_as_in_unequal_images() -> None:
    from marks import SIDE, WINDOW, draw

    images, labels = draw(25, seed=3, stream=0)
    assert labels.reshape(-1, 4).tolist() == [[1, 1, 0, 0]] * 25
    count = SIDE // WINDOW
    windows = images.reshape(25, 4, count, WINDOW, count, WINDOW).swapaxes(3, 4).reshape(25, 4, count**2, -1)
    for quadruple in windows:
        for place in range(count**2):
            shown = np.sort(quadruple[:2, place], axis=0), np.sort(quadruple[2:, place], axis=0)
            assert np.array_equal(*shown)


def test_marks_stay_away_from_the_borders_of_their_windows() -> None:
    from marks import BACKGROUND, INK, MARGIN, WINDOW, draw

    images, _ = draw(60, seed=3, stream=1)
    inked = (images > (BACKGROUND + INK) / 2).any(0)
    places = np.arange(len(inked)) % WINDOW
    border = (places < MARGIN) | (places >= WINDOW - MARGIN)
    assert inked.any() and not inked[border].any() and not inked[:, border].any()


def test_the_same_heads_are_wholly_alike() -> None:
    import torch
    from heads import _most_alike

    one, other = torch.tensor([1.0, 0.0, 0.0]), torch.tensor([0.0, 1.0, 1.0])
    assert _most_alike(torch.stack([one, one, other])[None]).tolist() == [pytest.approx([1, 1, 0])]
