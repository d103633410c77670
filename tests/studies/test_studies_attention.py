"""The study of attention and tokens: exponents and verdicts on times whose law is known."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from scipy import stats
from study_modules import STUDIES, importable

import nas
from nas.costs.counts import cost


@pytest.fixture(autouse=True, scope="module")
def _importable() -> Iterator[None]:
    with importable("predictors", "shared", "attention_tokens"):
        yield


def test_a_power_law_is_found_and_its_interval_is_students() -> None:
    from growth import exponent

    tokens = np.array([1024.0, 1600, 2304, 3136, 4096])
    assert exponent(tokens, 0.3 * tokens**1.7).value == pytest.approx(1.7)
    noisy = tokens * np.array([1.0, 1.1, 0.95, 1.02, 1.05])
    found = exponent(tokens, noisy)
    x, y = np.log(tokens), np.log(noisy)
    slope, base = np.polyfit(x, y, 1)
    error = np.sqrt(((y - slope * x - base) ** 2).sum() / 3 / ((x - x.mean()) ** 2).sum())
    half = stats.t.ppf(0.975, 3) * error
    assert (found.value, found.low, found.high) == pytest.approx((slope, slope - half, slope + half))


@pytest.mark.parametrize(
    ("name", "low", "high", "told"),
    [
        ("linear", 0.9, 1.1, "linear"),
        ("linear", 0.9, 1.2, "cannot be told"),
        ("separable", 1.11, 1.2, "not linear"),
        ("softmax", 1.5, 2.1, "approaches a square"),
        ("softmax", 1.0, 1.4, "does not"),
    ],
)
def test_the_rule_reads_the_interval(name: str, low: float, high: float, told: str) -> None:
    from growth import Exponent, verdict

    assert verdict(name, Exponent((low + high) / 2, low, high)) == told


def test_the_networks_have_equal_macs_and_differ_in_attention_alone() -> None:
    space = nas.load_space(STUDIES / "attention_tokens" / "space.yaml")
    macs = {name: int(cost(space, preset)["macs"][0]) for name, preset in space.presets.items()}
    assert all(abs(value / macs["softmax"] - 1) < 0.035 for value in macs.values()), macs
    around = {
        name: [
            slot.kind
            for slot in space.lower(preset)
            if "attention" not in slot.kind and slot.kind != "lite_mla"
        ]
        for name, preset in space.presets.items()
    }
    assert len({tuple(kinds) for kinds in around.values()}) == 1


def test_turns_time_every_model_once_a_round() -> None:
    from timing import exported_unit, interleaved

    model = exported_unit("conv_bn h=8 w=8 cin=3 cout=8 kernel=3 stride=2 act=relu padding=symmetric eps=5")
    found = interleaved({"first": model, "second": model}, rounds=4)
    assert [len(times.runs) for times in found.values()] == [4, 4]
    assert all(
        (times.runs > 0).all() and times.tail[0] <= times.median <= times.tail[1] for times in found.values()
    )
