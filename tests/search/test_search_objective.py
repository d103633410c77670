"""Objectives and constraints as users write them."""

from __future__ import annotations

import numpy as np
import pytest

from nas.errors import NasError
from nas.search.objective import (
    explain_empty,
    parse_constraint,
    parse_objective,
    parse_objectives,
    total_violation,
)


def test_objectives_have_a_natural_direction() -> None:
    assert [str(o) for o in parse_objectives(["accuracy", "latency@pixel6", "params:max"])] == [
        "accuracy:max",
        "latency@pixel6:min",
        "params:max",
    ]
    assert parse_objective("latency").cheap and not parse_objective("accuracy").cheap


@pytest.mark.parametrize(
    ("text", "bound", "upper"),
    [
        ("latency<=20ms", 20.0, True),
        ("latency@pixel6 <= 0.02s", 20.0, True),
        ("latency<=500us", 0.5, True),
        ("macs <= 300M", 3e8, True),
        ("macs>=1.5G", 1.5e9, False),
        ("params<12.7M", 12.7e6, True),
        ("memory<=512MiB", 512 * 2**20, True),
        ("memory<=1e6", 1e6, True),
        ("accuracy>=75%", 0.75, False),
        ("accuracy >= .75", 0.75, False),
    ],
)
def test_constraints_with_units(text: str, bound: float, upper: bool) -> None:
    constraint = parse_constraint(text)
    assert constraint.bound == pytest.approx(bound) and constraint.upper is upper


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("latency<=20M", r"'20M'.*ms"),
        ("macs<=20ms", r"'20ms'.*'M'"),
        ("latncy<=20ms", r"'latncy'.*mean 'latency'"),
        ("accuracy@pixel6>=1", "unknown metric"),
        ("latency==20ms", "use <= or >="),
        ("latency", "METRIC<=QUANTITY"),
        ("latency<=", "not a quantity|METRIC<=QUANTITY"),
        ("latency<=fast", "'fast'"),
        ("latency<=nan", "'nan'"),
        ("latency<=1e999ms", "1e999"),
        ("", "METRIC<=QUANTITY"),
        ("accuracy>=200%", "between 0 % and 100 %"),
        ("latency<=0ms", "always above 0"),
    ],
)
def test_wrong_constraints_are_explained(text: str, words: str) -> None:
    with pytest.raises(NasError, match=words):
        parse_constraint(text)


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        ([], "at least one"),
        (["accuracy", "accuracy:max"], "twice"),
        (["accuracy:up"], "'min' or 'max'"),
        (["flops"], "unknown metric"),
    ],
)
def test_wrong_objectives_are_explained(texts: list[str], words: str) -> None:
    with pytest.raises(NasError, match=words):
        parse_objectives(texts)


def test_violations_are_relative_sums() -> None:
    constraints = [parse_constraint("latency<=20ms"), parse_constraint("accuracy>=50%")]
    values = {"latency": np.array([10.0, 30.0, 20.0]), "accuracy": np.array([0.5, 0.25, 0.1])}
    assert total_violation(constraints, values, 3) == pytest.approx([0.0, 1.0, 0.8])
    with pytest.raises(NasError, match="no metric 'accuracy'"):
        total_violation(constraints, {"latency": values["latency"]}, 3)
    with pytest.raises(NasError, match="cannot be evaluated"):
        total_violation(constraints[:1], {"latency": np.array([np.nan])}, 1)


def test_an_empty_feasible_set_names_the_tightest_constraint_and_the_nearest_arch() -> None:
    constraints = [parse_constraint("latency<=5ms"), parse_constraint("macs<=100M")]
    values = {"latency": np.array([10.0, 6.0]), "macs": np.array([5e7, 9e7])}
    text = explain_empty(constraints, values, ["aa", "bb"])
    assert "'latency<=5ms' is the tightest" in text and "bb" in text and "latency = 6 ms" in text
