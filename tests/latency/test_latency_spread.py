"""Intervals of networks: the combination against its definition, and coverage on networks held out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nas.latency import nn_meter
from nas.latency.fit import fit_predictor
from nas.latency.model import TreeOptions
from nas.latency.network import network_latency
from nas.latency.predictor import Predictor
from nas.latency.report import DataFacts, Errors, SpreadReport
from nas.latency.spread import fit_spread, half_width, sample_networks, unit_columns
from nas.latency.table import LatencyTable
from nas.latency.timed_units import TimedUnits
from nas.latency.times import CODES, FloatArray, UnitTimes
from nas.latency.validation import HeldOut
from nas.space.load import load_space

FACTS = DataFacts(file="made.csv", sha256="0", source="made up", licence="none", units=0)
FREE = frozenset({"to_tokens", "to_map"})


def made(correlation: float, units: int = 600) -> HeldOut:
    """Units whose log errors have standard deviation 0.1 and a part in common with all the others."""
    rng = np.random.default_rng(0)
    shared = np.sqrt(correlation) * 0.1
    noise = shared + np.sqrt(1 - correlation) * 0.1 * rng.standard_normal(units)
    predicted = rng.uniform(0.5, 2, units)
    true = predicted * np.exp(noise)
    rows = np.stack([np.arange(1, units + 1)] * 3, axis=1)
    return HeldOut(rows, true, predicted, 0.1 * predicted, np.ones(units, dtype=bool))


def test_errors_in_common_are_found() -> None:
    none, much = (fit_spread({"to_map": made(c)}, [], seed=0) for c in (0.0, 0.3))
    assert none is not None and much is not None
    assert none.correlation < 0.05
    assert much.correlation > none.correlation
    for spread in (none, much):
        assert 0.85 <= spread.coverage <= 0.95
        assert spread.source == "sets"


def test_too_few_units_tell_nothing() -> None:
    few = made(0.0, 9)
    assert fit_spread({"to_map": few}, [], seed=0) is None


def test_units_add_up_between_independent_and_in_step() -> None:
    ms = np.array([1.0, 2.0, 4.0])
    times = UnitTimes(ms, np.full(3, CODES["predicted"], np.uint8), ms * np.exp(-0.1), ms * np.exp(0.1))
    sums = unit_columns(times).sum(axis=0)
    values = {"latency": np.array([7.0]), "sigma": sums[:1], "variance": sums[1:2], "shared": sums[2:]}
    sigma = 0.1 * ms / 1.6448536269514722
    errors = Errors(units=1, within_10=1, within_5=1, mean=0, max=0)

    def half(correlation: float, factor: float) -> FloatArray:
        spread = SpreadReport(
            correlation=correlation, factor=factor, errors=errors, coverage=0.9, source="sets"
        )
        return half_width(values, spread)

    assert half(0.0, 1.5) == pytest.approx(1.5 * np.sqrt((sigma**2).sum()) / 7)
    assert half(1.0, 1.5) == pytest.approx(1.5 * sigma.sum() / 7)
    assert half_width(values, None) == pytest.approx(0.1)


def test_estimated_units_are_in_step() -> None:
    ms = np.array([1.0, 1.0])
    times = UnitTimes(ms, np.full(2, CODES["estimated"], np.uint8), ms / 3, ms * 3)
    sums = unit_columns(times).sum(axis=0)
    assert sums[:2].tolist() == [0, 0]
    values = {"latency": np.array([2.0]), "sigma": sums[:1], "variance": sums[1:2], "shared": sums[2:]}
    assert half_width(values, None) == pytest.approx(np.log(3))


@pytest.fixture(scope="module", params=["pixel4", "pixel6"])
def table(request: pytest.FixtureRequest, shared_data: Path) -> LatencyTable:
    return nn_meter.read(shared_data / "nn_meter_lut" / f"{request.param}_lut_ln_v3.json")


@pytest.mark.parametrize("with_space", [True, False])
def test_networks_of_units_that_were_held_out(table: LatencyTable, with_space: bool) -> None:
    """Fitted on one unit in eight; the truth of a network is the sum of the published entries."""
    space = load_space("elasticvit")
    known = LatencyTable(dict(list(table.items())[::8]))
    spaces = {"elasticvit": space} if with_space else None
    trees = TreeOptions(rounds=100)
    predictor = fit_predictor(known, name="part", data=FACTS, trees=trees, spaces=spaces, free=FREE)
    batch = sample_networks(space, 1000, seed=123)
    slots = space.lower(batch)
    true = np.asarray(network_latency(TimedUnits("exact", table, None, FREE, None), slots, len(batch)))
    found = network_latency(TimedUnits("part", None, predictor, FREE, None), slots, len(batch))
    held = (found.low <= true) & (true <= found.high)
    assert 0.82 <= held.mean() <= 0.98
    assert np.abs(np.asarray(found) / true - 1).mean() < 0.015
    assert np.mean(found.high / found.low) < 1.08
    unit_sums = network_latency(
        TimedUnits("sum", None, without_spread(predictor), FREE, None), slots, len(batch)
    )
    assert np.mean(np.log(found.high / found.low)) < 0.6 * np.mean(np.log(unit_sums.high / unit_sums.low))


def without_spread(predictor: Predictor) -> Predictor:
    """The same predictor, its units' errors adding up in full."""
    return replace(predictor, report=predictor.report.model_copy(update={"spread": None}))
