"""Intervals from few errors: how often they hold the next one, for normal and for heavy-tailed errors."""

from __future__ import annotations

import numpy as np
import pytest

from nas.latency.statistics import interval_ends, upper_quantile

TRIALS = 4000


def _errors(tail: str, shape: tuple[int, int]) -> np.ndarray:
    rng = np.random.default_rng(0)
    return 0.05 * (rng.standard_normal(shape) if tail == "normal" else rng.standard_t(2, shape))


@pytest.mark.parametrize("tail", ["normal", "heavy"])
@pytest.mark.parametrize("count", [9, 11, 14, 20, 30, 50])
def test_few_errors_hold_the_next_one(count: int, tail: str) -> None:
    drawn = _errors(tail, (TRIALS, count + 1))
    held = 0
    for row in drawn:
        low, high = interval_ends(np.exp(row[:-1]))
        held += low <= np.exp(row[-1]) <= high
    assert 0.89 <= held / TRIALS <= 0.965
    below = np.mean([abs(row[-1]) <= upper_quantile(np.abs(row[:-1])) for row in drawn])
    assert 0.89 <= below <= 0.965


@pytest.mark.parametrize("count", [3, 5, 8])
def test_very_few_normal_errors_too(count: int) -> None:
    drawn = _errors("normal", (TRIALS, count + 1))
    below = np.mean([abs(row[-1]) <= upper_quantile(np.abs(row[:-1])) for row in drawn])
    assert 0.87 <= below <= 0.95
