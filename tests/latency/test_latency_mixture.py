"""Lines and factors averaged, and what is said of kinds of which few units were timed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nas.latency import nn_meter
from nas.latency.evidence import part_of, predict_table
from nas.latency.fit import fit_predictor
from nas.latency.kernel_model import leave_units_out
from nas.latency.mixture import fit_mixture, predict_left_out
from nas.latency.report import DataFacts
from nas.latency.rows import IntArray
from nas.latency.shrunk import half_widths
from nas.latency.statistics import upper_quantile
from nas.latency.table import LatencyTable
from nas.latency.times import FloatArray

FACTS = DataFacts(file="made.csv", sha256="0", source="made up", licence="none", units=0)


def sources(count: int, seed: int) -> tuple[FloatArray, FloatArray]:
    """Two features, and three other devices' logarithms that differ by them."""
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((count, 2))
    size = rng.standard_normal(count)
    logs = np.stack([size, size + 0.5 * features[:, 0], size - 0.4 * features[:, 1]], axis=1)
    return features, logs


def test_a_device_that_is_a_factor_off_is_found() -> None:
    features, logs = sources(12, 0)
    noise = 0.02 * np.random.default_rng(1).standard_normal(12)
    mixture = fit_mixture(features, logs, logs[:, 1] + np.log(3) + noise, np.ones(2))
    new_features, new_logs = sources(500, 2)
    error = mixture.predict(new_features, new_logs) - new_logs[:, 1] - np.log(3)
    assert np.abs(error).mean() < 0.02
    assert mixture.shares.sum() == pytest.approx(1)


def test_a_device_like_none_is_left_to_the_line() -> None:
    features, logs = sources(40, 0)
    law = logs.mean(axis=1) + 0.8 * features[:, 0] + 0.7 * features[:, 1] + 1.0
    mixture = fit_mixture(features, logs, law, np.ones(2))
    new_features, new_logs = sources(500, 2)
    truth = new_logs.mean(axis=1) + 0.8 * new_features[:, 0] + 0.7 * new_features[:, 1] + 1.0
    assert np.abs(mixture.predict(new_features, new_logs) - truth).mean() < 0.03
    assert mixture.shares == pytest.approx(np.full(3, 1 / 3), abs=0.02)


def test_left_out_means_left_out() -> None:
    features, logs = sources(10, 0)
    values = logs[:, 0] + 0.1 * np.random.default_rng(3).standard_normal(10)
    found = predict_left_out(features, logs, values, np.ones(2), 60)
    for index in range(10):
        rest = np.arange(10) != index
        alone = fit_mixture(features[rest], logs[rest], values[rest], np.ones(2))
        assert found[index] == alone.predict(features[[index]], logs[[index]])[0]


def test_each_kind_has_the_width_of_its_own_errors() -> None:
    """Of two kinds one is four times as hard: one width for both would hold all of one and too little of the other."""
    rng = np.random.default_rng(0)
    of_kind = np.repeat(["easy", "hard"], 30)
    sigma = {"easy": 0.02, "hard": 0.08}
    own: dict[str, list[float]] = {"easy": [], "hard": []}
    shared: dict[str, list[float]] = {"easy": [], "hard": []}
    for _ in range(100):
        errors = np.array([sigma[kind] for kind in of_kind]) * rng.standard_normal(60)
        half, _ = half_widths(errors, of_kind)
        for kind in sigma:
            new = np.abs(sigma[kind] * rng.standard_normal(500))
            own[kind].append(float(np.mean(new <= half[kind])))
            shared[kind].append(float(np.mean(new <= upper_quantile(np.abs(errors)))))
    assert np.mean(shared["easy"]) > 0.99 and np.mean(shared["hard"]) < 0.82
    assert np.mean(own["easy"]) < 0.97 and np.mean(own["hard"]) > 0.84


def test_one_unit_of_a_kind_does_not_decide_its_width() -> None:
    errors = np.array([0.1] * 11 + [0.0001])
    half, _ = half_widths(errors, np.array(["many"] * 11 + ["one"]))
    assert half["one"] > 0.7 * half["many"]


def drawn(shared_data: Path, per_kind: int, seed: int) -> tuple[LatencyTable, LatencyTable]:
    """A published table, and a few units of each of its kinds."""
    table = nn_meter.read(shared_data / "nn_meter_lut" / "pixel6_lut_ln_v3.json")
    rng = np.random.default_rng(seed)

    def kept(kind: str, rows: IntArray) -> np.ndarray:
        return np.isin(np.arange(len(rows)), rng.choice(len(rows), per_kind, replace=False))

    return table, part_of(table, kept)


def test_three_units_of_a_kind_are_no_worse_than_one(shared_data: Path) -> None:
    """Trees of three units are worse than kernels; which of the two it is, left-out error decides."""
    errors: dict[int, list[float]] = {1: [], 4: []}
    coverage = []
    for seed in range(3):
        for per_kind, found in errors.items():
            table, few = drawn(shared_data, per_kind, seed)
            predictor = fit_predictor(few, name="few", data=FACTS)
            true, predicted = predict_table(predictor, table)
            found.append(float(np.abs(np.asarray(predicted) / true - 1).mean()))
            if per_kind > 1:
                coverage.append(float(((predicted.low <= true) & (true <= predicted.high)).mean()))
                assert predictor.report.errors is not None
                assert predictor.report.errors.units == per_kind * 6
                timed = predictor.report.kernels.timed
                assert set(timed) | set(predictor.report.kinds) == set(table.kinds)
    assert np.mean(errors[4]) < np.mean(errors[1])
    assert np.mean(errors[4]) < 0.11
    assert 0.85 <= np.mean(coverage) <= 0.99


def test_units_are_left_out_of_the_kernel_model(shared_data: Path) -> None:
    _, few = drawn(shared_data, 3, 0)
    units = {kind: (few.rows(kind), few.times(kind).ms) for kind in few.kinds}
    found = leave_units_out(units, ["ffn"])["ffn"]
    assert found.shape == (3,)
    moved = {**units, "ffn": (units["ffn"][0], units["ffn"][1] * [100, 1, 1])}
    assert leave_units_out(moved, ["ffn"])["ffn"][0] == pytest.approx(found[0])
    assert leave_units_out(moved, ["ffn"])["ffn"][1] != pytest.approx(found[1])
