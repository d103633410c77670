"""The study of fused stages: ratios, rewards and times to an accuracy on numbers that are known."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from study_modules import STUDIES, importable

import nas
from nas.costs.counts import cost


@pytest.fixture(autouse=True, scope="module")
def _importable() -> Iterator[None]:
    with importable("predictors", "shared", "fused_stages"):
        yield


def test_a_ratio_is_geometric_and_round_by_round() -> None:
    from rewards import ratio
    from timing import Times

    base = np.array([10.0, 20.0, 40.0])
    found = ratio(Times(base * 0.9), Times(base))
    assert (found.mean, found.low, found.high) == pytest.approx((0.9, 0.9, 0.9))


def test_the_reward_is_the_papers() -> None:
    from rewards import chosen, rewards
    from timing import Times

    space = nas.load_space(STUDIES / "fused_stages" / "space.yaml")
    times = {"none": Times(np.array([50.0])), "all": Times(np.array([40.0]))}
    tops = {"none": [0.9, 0.91, 0.92], "all": [0.9, 0.91, 0.92]}
    found = rewards(space, tops, times, -0.07)
    params = float(cost(space, space.presets["all"])["params"][0]) / 1e6
    assert found["all"] == pytest.approx(np.array(tops["all"]) * 0.8**-0.07 * params**-0.05)
    unaware = rewards(space, tops, times, 0.0)
    assert unaware["all"] == pytest.approx(np.array(tops["all"]) * params**-0.05)
    assert chosen(unaware) == ("none", False)
    assert chosen({"none": [0.1, 0.2], "first": [0.2, 0.3001]}) == ("first", True)


def test_times_to_an_accuracy_lie_on_the_line_between_trainings() -> None:
    from progress import seconds_to
    from trained import Outcome

    points = [Outcome(1.0, 0.5), Outcome(2.0, 0.4), Outcome(4.0, 0.8)]
    assert seconds_to(points, 0.5) == (1.0, True)
    assert seconds_to(points, 0.6) == pytest.approx((3.0, True))
    assert seconds_to(points, 0.9) == (4.0, False)


def test_single_stages_differ_from_none_in_one_stage() -> None:
    from step_ratios import one_fused

    space = nas.load_space(STUDIES / "fused_stages" / "space.yaml")
    none = space.presets["none"].values
    for stage, arch in one_fused(space).items():
        assert {key for key in none if arch.values[key] != none[key]} == {f"{stage}.block"}
