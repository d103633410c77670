"""Fitting: on times whose law is known, and every error figure against its definition."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nas.errors import NasError
from nas.latency.features import shape_features, work_terms
from nas.latency.fit import fit_predictor
from nas.latency.model import TreeOptions, fit_unit_model
from nas.latency.predictor import Predictor, load_predictor
from nas.latency.report import DataFacts, Errors
from nas.latency.rows import IntArray
from nas.latency.signature import rows_of, words
from nas.latency.table import Entry, LatencyTable
from nas.latency.times import CODES, FloatArray
from nas.latency.validation import cross_validate, fold_of, inside, interval_of, leave_edges_out

FACTS = DataFacts(file="made.csv", sha256="0", source="made up", licence="none", units=0)
FAST = TreeOptions(rounds=30, few_rounds=30)
ACT, NORM = words("ffn", "act").index("relu"), words("ffn", "norm").index("layer_norm")


def ffn_rows() -> IntArray:
    side, width, ratio = np.meshgrid([4, 6, 8, 12, 16], np.arange(32, 129, 8), [1, 2, 3, 4], indexing="ij")
    sizes = {"h": side, "w": side, "channels": width, "hidden": width * ratio}
    return rows_of("ffn", {**{key: value.ravel() for key, value in sizes.items()}, "act": ACT, "norm": NORM})


def law(rows: IntArray) -> FloatArray:
    """10 GMAC/s, plus 20 ns per hidden element, plus 10 us; every fourth width is 20 % slower."""
    pixels, channels, hidden = rows[:, 0] * rows[:, 1], rows[:, 2], rows[:, 3]
    ms = (2 * pixels * channels * hidden) / 1e7 + 2e-5 * pixels * hidden + 0.01
    return np.where(channels % 32 == 8, 1.2 * ms, ms)


def made_table() -> LatencyTable:
    rows = ffn_rows()
    entries = {
        ("ffn", tuple(row)): Entry(float(ms), "table", "") for row, ms in zip(rows.tolist(), law(rows))
    }
    return LatencyTable(entries)


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return fit_predictor(made_table(), name="made", data=FACTS, trees=FAST)


def test_work_is_the_blocks_own() -> None:
    rows = ffn_rows()
    terms = work_terms("ffn", rows)
    pixels, channels, hidden = rows[:, 0] * rows[:, 1], rows[:, 2], rows[:, 3]
    assert np.array_equal(terms["matmul_macs"], 2 * pixels * channels * hidden)
    assert np.array_equal(terms["act_out"], pixels * hidden)
    assert np.array_equal(terms["elements_in"], pixels * channels)
    assert np.array_equal(shape_features("ffn", rows)["act=relu"], np.ones(len(rows)))


def test_a_linear_law_is_found_exactly_and_holds_outside() -> None:
    rows = ffn_rows()
    pixels, hidden = rows[:, 0] * rows[:, 1], rows[:, 3]
    ms = (2 * pixels * rows[:, 2] * hidden) / 1e7 + 2e-5 * pixels * hidden + 0.01
    model = fit_unit_model("ffn", rows, ms, TreeOptions(few_rounds=1))
    assert model.work["matmul_macs"] == pytest.approx(1e-7, rel=1e-6)
    assert model.work["constant"] == pytest.approx(0.01, rel=1e-6)
    far = rows_of("ffn", {"h": 32, "w": 32, "channels": 512, "hidden": 2048, "act": ACT, "norm": NORM})
    assert model.predict(far) == pytest.approx(1024 * 2048 * (1024 * 1e-7 + 2e-5) + 0.01, rel=1e-3)


def test_trees_learn_what_the_line_misses(predictor: Predictor) -> None:
    rows = ffn_rows()
    error = np.abs(predictor.model("ffn").predict(rows) / law(rows) - 1)
    assert error.mean() < 0.01
    assert predictor.report.errors.within_10 > 0.97


def test_every_unit_is_predicted_by_a_model_that_has_not_seen_it() -> None:
    rows, ms = ffn_rows(), law(ffn_rows())
    fold = fold_of(len(rows), 5, seed=3)
    assert np.bincount(fold).tolist() == [52] * 5
    predicted = cross_validate("ffn", rows, ms, fold, FAST)
    for number in range(5):
        model = fit_unit_model("ffn", rows[fold != number], ms[fold != number], FAST)
        assert np.array_equal(predicted[fold == number], model.predict(rows[fold == number]))


def test_edges_are_beyond_what_was_fitted() -> None:
    rows, ms = ffn_rows(), law(ffn_rows())
    true, predicted = leave_edges_out("ffn", rows, ms, FAST)
    keys = [rows[:, 0] == 16, rows[:, 0] == 4, rows[:, 2] == 128, rows[:, 2] == 32]
    edges = [*keys, rows[:, 3] == 512, rows[:, 3] == 32]
    assert np.array_equal(true, np.concatenate([ms[edge] for edge in edges]))
    assert np.abs(predicted / true - 1).mean() < 0.25


def test_errors_are_what_they_say() -> None:
    errors = Errors.of(np.array([1.0, 1.0, 2.0, 4.0]), np.array([1.04, 0.93, 2.5, 4.0]))
    assert (errors.units, errors.within_10, errors.within_5) == (4, 0.75, 0.5)
    assert errors.mean == pytest.approx((0.04 + 0.07 + 0.25) / 4)
    assert errors.max == pytest.approx(0.25)
    assert str(errors) == "75.0 % within ±10 %, mean error 9.0 %"


def test_all_is_said_only_of_all() -> None:
    true = np.ones(3000)
    predicted = np.ones(3000)
    assert Errors.of(true, predicted).within == "100.0 %"
    predicted[0] = 2.0
    assert Errors.of(true, predicted).within == "99.9 %"


def test_intervals_hold_ninety_percent_of_new_truth() -> None:
    rng = np.random.default_rng(0)
    predicted = rng.uniform(1, 100, size=8000)
    spread = np.where(predicted < 50, 0.02, 0.2)
    true = predicted * np.exp(spread * rng.standard_normal(8000))
    interval = interval_of(true[:4000], predicted[:4000])
    low, high = interval.ends(predicted[4000:])
    held = (low <= true[4000:]) & (true[4000:] <= high)
    assert held.mean() == pytest.approx(0.9, abs=0.02)
    assert held[predicted[4000:] < 50].mean() == pytest.approx(0.9, abs=0.03)
    assert inside(true, predicted, fold_of(8000, 5, 0)).mean() == pytest.approx(0.9, abs=0.02)


def test_the_fit_is_reproducible_and_survives_writing(predictor: Predictor, tmp_path: Path) -> None:
    again = fit_predictor(made_table(), name="made", data=FACTS, trees=FAST)
    assert again.report == predictor.report
    predictor.write(tmp_path / "made")
    loaded = load_predictor(tmp_path / "made")
    assert loaded.report == predictor.report
    rows = ffn_rows()
    assert np.array_equal(loaded.predict("ffn", rows).ms, predictor.predict("ffn", rows).ms)
    assert sorted(path.name for path in (tmp_path / "made").iterdir()) == ["ffn.ubj.gz", "report.json"]


def test_few_units_are_left_out_one_by_one() -> None:
    rows, ms = ffn_rows()[::30], law(ffn_rows()[::30])
    entries = {("ffn", tuple(row)): Entry(float(time), "table", "") for row, time in zip(rows.tolist(), ms)}
    few = fit_predictor(LatencyTable(entries), name="few", data=FACTS, trees=FAST)
    about = few.report.kinds["ffn"]
    assert about.errors.units == len(rows) == 9
    fold = fold_of(9, 5, seed=0)
    assert sorted(fold.tolist()) == list(range(9))
    assert about.errors == Errors.of(ms, cross_validate("ffn", rows, ms, fold, FAST))


def test_two_units_of_a_kind_are_left_to_the_kernel_model() -> None:
    two = fit_predictor(
        LatencyTable(dict(list(made_table().items())[:2])), name="two", data=FACTS, trees=FAST
    )
    assert (two.report.kinds, two.report.errors, two.report.coverage) == ({}, None, None)
    times = two.predict("ffn", ffn_rows()[:3])
    assert (times.provenance == CODES["estimated"]).all()
    assert (times.high > 1.99 * times.ms).all()
    with pytest.raises(NasError, match="no timed units"):
        fit_predictor(LatencyTable({}), name="none", data=FACTS)


def test_a_monotone_size_never_makes_a_unit_faster() -> None:
    """Every fourth width of the law is slow: constrained trees must not follow it down again."""
    rows, ms = ffn_rows(), law(ffn_rows())
    free, tied = fit_unit_model("ffn", rows, ms, FAST), TreeOptions(30, 30, monotone=("channels",))
    constrained = fit_unit_model("ffn", rows, ms, tied)
    width = np.arange(32, 129, 8)
    line = rows_of("ffn", {"h": 8, "w": 8, "channels": width, "hidden": 256, "act": ACT, "norm": NORM})
    assert (np.diff(free.predict(line)) < 0).any()
    assert (np.diff(constrained.predict(line)) >= 0).all()


def test_constraints_are_kept_only_where_they_do_no_harm() -> None:
    rows = ffn_rows()
    report = fit_predictor(made_table(), name="made", data=FACTS, trees=FAST).report.kinds["ffn"]
    assert "channels" not in report.monotone
    assert report.monotone_errors["channels"] > report.errors.mean
    for size, error in report.monotone_errors.items():
        options = replace(FAST, monotone=(size,))
        predicted = cross_validate("ffn", rows, law(rows), fold_of(len(rows), 5, 0), options)
        assert error == Errors.of(law(rows), predicted).mean


def test_a_unit_that_does_nothing_at_its_sizes_teaches_nothing(tmp_path: Path) -> None:
    """FasterViT's carriers are none where one window is the whole map; timed alone, handing an input on takes time."""
    sizes = {"channels": [128, 256, 384], "heads": 8, "hidden": 512, "act": 0, "scale": 0, "window": 7}
    idle = rows_of("carrier_attention", {**sizes, "h": 7, "w": 7, "prefix": 0, "carriers": 0})
    busy = rows_of("carrier_attention", {**sizes, "h": 14, "w": 14, "prefix": 16, "carriers": 2})
    timed = {("carrier_attention", tuple(row)): Entry(0.03, "table", "") for row in idle.tolist()}
    timed |= {
        ("carrier_attention", tuple(row)): Entry(1.0 + n, "table", "") for n, row in enumerate(busy.tolist())
    }
    few = {
        ("ffn", tuple(row)): Entry(float(ms), "table", "")
        for row, ms in zip(ffn_rows().tolist(), law(ffn_rows()))
    }
    table = LatencyTable({**timed, **dict(list(few.items())[::40])})
    predictor = fit_predictor(table, name="made", data=FACTS, trees=FAST)
    assert np.isfinite([one.log_half for one in predictor.report.kernels.timed.values()]).all()
    predictor.write(tmp_path)
    assert load_predictor(tmp_path).report == predictor.report
    with pytest.raises(NasError, match="no timed unit of the table executes anything"):
        fit_predictor(LatencyTable(dict(list(timed.items())[:3])), name="made", data=FACTS, trees=FAST)
