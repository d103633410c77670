"""A front beside presets, and what so many search images can tell, beside brute force."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kendalltau

from nas.metrics import Metric
from nas.pipeline.beside_presets import beside
from nas.pipeline.verdicts import expected_tau
from nas.search.objective import parse_objectives
from nas.store import Preset

OBJECTIVES = parse_objectives(["accuracy:max", "latency:min"])
REFERENCE = {"accuracy": 0.0, "latency": 10.0}


def _metrics(accuracy: float, latency: float, half: float = 0.02) -> dict[str, Metric]:
    return {
        "accuracy": Metric(accuracy, "fraction", "measured", accuracy - half, accuracy + half),
        "latency": Metric(latency, "ms", "predicted", 0.9 * latency, 1.1 * latency),
    }


def _preset(name: str, accuracy: float, latency: float) -> Preset:
    return Preset(name, name, {}, _metrics(accuracy, latency))


def test_presets_are_reached_or_ahead_as_their_numbers_say() -> None:
    members = [_metrics(0.8, 5.0), _metrics(0.9, 8.0)]
    presets = [
        _preset("equal", 0.8, 5.0),
        _preset("better within noise", 0.83, 5.0),
        _preset("free", 0.5, 1.0),
    ]
    compared = beside(OBJECTIVES, members, presets, REFERENCE)
    assert compared is not None
    assert (compared.presets, compared.reached, compared.ahead) == (3, 1, ())
    assert "1 of 3 presets, and none dominates" in compared.words
    ahead = beside(OBJECTIVES, members, [_preset("fast", 0.95, 4.0)], REFERENCE)
    assert ahead is not None and ahead.ahead == ("fast",) and "fast dominate" in ahead.words
    area = 0.8 * (8 - 5) + 0.9 * (10 - 8)
    assert ahead.front == pytest.approx(area / (0.95 * 6)) and ahead.alone == pytest.approx(1)


def test_without_presets_or_numbers_nothing_is_compared() -> None:
    assert beside(OBJECTIVES, [_metrics(0.8, 5.0)], [], REFERENCE) is None
    assert beside(OBJECTIVES, [{}], [_preset("a", 0.8, 5.0)], REFERENCE) is None


@pytest.mark.parametrize("images", [50, 215])
def test_the_expected_tau_is_that_of_drawn_answers(images: int) -> None:
    rng = np.random.default_rng(0)
    true = rng.uniform(0.6, 0.95, size=75)
    taus, stated = [], []
    for _ in range(40):
        seen = rng.binomial(images, true) / images
        taus.append(kendalltau(true, seen).statistic)
        stated.append(expected_tau(seen, images))
    assert np.mean(stated) == pytest.approx(np.mean(taus), abs=0.04)
