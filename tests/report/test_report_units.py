"""Numbers as people read them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.metrics import Metric
from nas.report import units


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (0.93149, "fraction", "93.1 %"),
        (0.0, "fraction", "0.0 %"),
        (12.345, "ms", "12.3 ms"),
        (0.01234, "ms", "0.0123 ms"),
        (302_345_678, "MACs", "302 M MACs"),
        (1_204_000_000, "MACs", "1.20 G MACs"),
        (5_300, "params", "5.30 k params"),
        (12 * 2**20, "bytes", "12.0 MiB"),
        (512, "bytes", "512 B"),
        (7.5, "", "7.50"),
    ],
)
def test_quantity(value: float, unit: str, shown: str) -> None:
    assert units.quantity(value, unit) == shown


@given(st.floats(1e-4, 1e8))
def test_three_digits_are_within_half_a_percent(value: float) -> None:
    assert float(units.significant(value).replace(",", "")) == pytest.approx(value, rel=5.1e-3)


def test_large_numbers_have_an_exponent() -> None:
    assert units.significant(1.6442e9, 4) == "1.644×10⁹"
    assert units.significant(-2e-7) == "-2.00×10⁻⁷"


def test_several_numbers_share_the_scale_of_most() -> None:
    scale = units.scale_for("MACs", [31e6, 64e6, 200e6, 1.4e9])
    assert (scale.factor, scale.axis) == (1e-6, "M")
    assert units.number(1.4e9, "MACs", scale) == "1,400"
    assert units.scale_for("ms", []).axis == "ms"
    assert units.scale_for("MACs", [math.nan]).axis == ""


def test_a_metric_is_told_with_interval_and_provenance() -> None:
    accuracy = Metric(0.9312, "fraction", "measured", 0.902, 0.954, "test split")
    assert units.described(accuracy) == "93.1 % (90.2–95.4, measured)"
    assert units.described(Metric(3e8, "MACs", "counted")) == "300 M (counted)"
    assert units.interval(Metric(12.0, "ms", "table")) == ""


@pytest.mark.parametrize(
    ("seconds", "told"), [(0.52, "0.52 s"), (48.4, "48 s"), (200, "3 min 20 s"), (7500, "2 h 05 min")]
)
def test_duration(seconds: float, told: str) -> None:
    assert units.duration(seconds) == told


def test_names_of_metrics() -> None:
    assert units.title("latency@pixel4") == "Latency on pixel4"
    assert units.title("latency", "pixel6") == "Latency on pixel6"
    assert units.title("accuracy", "pixel6") == "Top-1 accuracy"
    assert units.title("energy") == "energy"


def test_chosen_numbers_have_no_invented_digits() -> None:
    assert units.exact(0.0, "fraction") == "0 %"
    assert units.exact(60.0, "ms") == "60 ms"
    assert units.exact(2e9, "MACs") == "2 G"
    assert units.signed(-0.823) == "−0.82"
    assert units.percent(0.4125) == "41.2 %"
