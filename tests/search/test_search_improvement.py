"""Expected hypervolume improvement beside drawn outcomes and exact hypervolumes."""

from __future__ import annotations

import numpy as np

from nas.search.improvement import _dominating, _free, improving
from nas.search.pareto import hypervolume

FRONT = np.array([[0.1, 0.8], [0.3, 0.5], [0.7, 0.2]])


def _gain(points: np.ndarray, front: np.ndarray, reference: np.ndarray) -> float:
    directions = ["min"] * front.shape[1]
    return hypervolume(np.concatenate([front, points]), reference, directions) - hypervolume(
        front, reference, directions
    )


def test_the_expected_gain_is_the_mean_gain_of_drawn_outcomes() -> None:
    rng = np.random.default_rng(0)
    mean = np.array([[0.2, 0.55], [0.5, 0.3], [0.05, 0.9]])
    std = np.array([[0.0, 0.1], [0.0, 0.05], [0.05, 0.02]])
    points = _free(mean, std, FRONT, np.random.default_rng(1))
    chances = _dominating(mean, std, points)
    low = np.concatenate([mean - 2 * std, FRONT]).min(axis=0)
    high = low + (FRONT.max(axis=0).clip(mean.max(axis=0)) - low) * 1.05
    free = np.prod(high - low) - hypervolume(FRONT, high, ("min", "min"))
    expected = chances.mean(axis=1) * free
    for row in range(len(mean)):
        drawn = mean[row] + std[row] * rng.normal(size=(4_000, 2))
        drawn = np.maximum(drawn, low)  # the box ends there
        gains = [_gain(point[None], FRONT, high) for point in drawn]
        assert abs(np.mean(gains) - expected[row]) < 0.1 * np.mean(gains) + 1e-3


def test_exact_candidates_are_chosen_as_greedily_as_their_hypervolume_says() -> None:
    rng = np.random.default_rng(3)
    for objectives in (2, 3):
        front = rng.random((6, objectives)) * 0.5 + 0.5
        mean = rng.random((40, objectives))
        chosen = improving(mean, np.zeros_like(mean), front, 4, np.random.default_rng(0))
        low = np.concatenate([mean, front]).min(axis=0)
        high = low + (np.concatenate([front, mean]).max(axis=0) - low) * 1.05
        known = front
        for row in chosen:
            gains = np.array([_gain(point[None], known, high) for point in mean])
            assert gains[row] >= gains.max() * 0.93
            known = np.concatenate([known, mean[[row]]])


def test_what_promises_nothing_is_not_chosen() -> None:
    mean = np.array([[0.5, 0.9], [0.9, 0.9]])
    assert len(improving(mean, np.zeros_like(mean), FRONT, 2, np.random.default_rng(0))) == 0
