"""A front beside presets, and what so many search images can tell, beside brute force."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kendalltau

from nas.metrics import Metric
from nas.pipeline.verdicts import expected_tau
from nas.search.beside_presets import beside
from nas.search.objective import parse_constraint, parse_objectives

OBJECTIVES = parse_objectives(["accuracy:max", "latency:min"])
REFERENCE = {"accuracy": 0.0, "latency": 10.0}


def _metrics(accuracy: float, latency: float, detail: str = "1,000 test images") -> dict[str, Metric]:
    return {
        "accuracy": Metric(accuracy, "fraction", "measured", accuracy - 0.02, accuracy + 0.02, detail),
        "latency": Metric(latency, "ms", "predicted", 0.9 * latency, 1.1 * latency),
    }


def test_presets_are_reached_or_ahead_as_their_numbers_say() -> None:
    members = [_metrics(0.8, 5.0), _metrics(0.9, 8.0)]
    presets = {
        "equal": _metrics(0.8, 5.0),
        "better within noise": _metrics(0.83, 5.0),
        "free": _metrics(0.5, 1.0),
    }
    compared = beside(OBJECTIVES, members, presets, REFERENCE)
    assert compared is not None
    assert (compared.presets, compared.reached, compared.ahead) == (3, 1, ())
    assert "1 of 3 presets, and none dominates" in compared.words
    ahead = beside(OBJECTIVES, members, {"fast": _metrics(0.95, 4.0)}, REFERENCE)
    assert ahead is not None and ahead.ahead == ("fast",) and "fast dominate" in ahead.words
    area = 0.8 * (8 - 5) + 0.9 * (10 - 8)
    assert ahead.front == pytest.approx(area / (0.95 * 6)) and ahead.alone == pytest.approx(1)


def test_without_presets_or_numbers_nothing_is_compared() -> None:
    assert beside(OBJECTIVES, [_metrics(0.8, 5.0)], {}, REFERENCE) is None
    assert beside(OBJECTIVES, [{}], {"a": _metrics(0.8, 5.0)}, REFERENCE) is None


def test_presets_of_other_data_or_beyond_the_constraints_do_not_count() -> None:
    members = [_metrics(0.8, 5.0)]
    presets = {
        "slow": _metrics(0.7, 7.0),
        "other": _metrics(0.1, 9.0, "search images"),
        "worse": _metrics(0.7, 6.0),
    }
    free = beside(OBJECTIVES, members, presets, REFERENCE)
    bound = beside(OBJECTIVES, members, presets, REFERENCE, [parse_constraint("latency<=6ms")])
    assert free is not None and (free.presets, free.reached) == (2, 2)
    assert bound is not None and (bound.presets, bound.reached) == (1, 1)


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
