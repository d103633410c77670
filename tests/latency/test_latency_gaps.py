"""Values between fitted ones: an interval of their own, and what is said of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nas.latency import nn_meter
from nas.latency.fit import fit_predictor
from nas.latency.fit_kind import fit_kind
from nas.latency.gaps import gaps_of, interval_between, leave_groups_out
from nas.latency.model import TreeOptions, fit_unit_model
from nas.latency.predictor import LEVELS, load_predictor
from nas.latency.report import DataFacts, Interval
from nas.latency.rows import IntArray
from nas.latency.signature import rows_of, words
from nas.latency.table import Entry, LatencyTable
from nas.latency.times import CODES, FloatArray
from nas.latency.validation import cross_validate, fold_of, interval_of

FACTS = DataFacts(file="made.csv", sha256="0", source="made up", licence="none", units=0)
FAST = TreeOptions(rounds=30, few_rounds=30)
WIDE = Interval(edges=[], low=[0.5], high=[2.0])
SIDES = [4, 6, 8, 10, 12, 16]


def ffn(side: IntArray, width: IntArray, ratio: IntArray) -> IntArray:
    act, norm = words("ffn", "act").index("relu"), words("ffn", "norm").index("layer_norm")
    sizes = {"h": side, "w": side, "channels": width, "hidden": width * ratio}
    return rows_of("ffn", {**sizes, "act": act, "norm": norm})


def grid(sides: list[int]) -> IntArray:
    values = np.meshgrid(sides, np.arange(32, 129, 8), [1, 2, 3, 4], indexing="ij")
    return ffn(*(part.ravel() for part in values))


def law(rows: IntArray) -> FloatArray:
    """Work, and by turns 15 % more or less of it with the side of the map."""
    ms = 2.0 * rows[:, 0] * rows[:, 1] * rows[:, 2] * rows[:, 3] / 1e7 + 0.01
    return np.asarray(ms * np.where(rows[:, 0] % 4 == 0, 1.15, 0.85))


def test_a_group_is_predicted_by_a_fit_without_it() -> None:
    rows = grid(SIDES)
    position = np.searchsorted(SIDES, rows[:, 0])
    left_out = leave_groups_out("ffn", rows, law(rows), position, FAST)
    inner = (rows[:, 0] > 4) & (rows[:, 0] < 16)
    assert np.array_equal(left_out.true, law(rows[inner]))
    assert len(np.unique(left_out.group)) == len(SIDES) - 2
    out = rows[:, 0] == 8
    model = fit_unit_model("ffn", rows[~out], law(rows[~out]), FAST)
    assert np.array_equal(
        left_out.predicted[left_out.true == law(rows[inner])][rows[inner, 0] == 8], model.predict(rows[out])
    )


def test_an_unseen_resolution_has_the_interval_of_resolutions_left_out() -> None:
    known = grid([side for side in SIDES if side != 10])
    fitted = fit_kind("ffn", known, law(known), 5, 0, FAST)
    gap = fitted.report.gaps["h"]
    assert gap.values == [4, 6, 8, 12, 16]
    assert gap.errors is not None and gap.errors.mean > 5 * fitted.report.errors.mean
    predictor = fit_predictor(_table(known), name="made", data=FACTS, trees=FAST)
    new, seen = grid([10]), grid([8])
    assert (predictor.levels("ffn", new) == LEVELS.index("extrapolated")).all()
    assert (predictor.levels("ffn", seen) == LEVELS.index("trees")).all()
    times, truth = predictor.predict("ffn", new), law(new)
    assert (times.provenance == CODES["estimated"]).all()
    assert ((times.low <= truth) & (truth <= times.high)).mean() >= 0.85
    inside = predictor.report.kinds["ffn"].interval.ends(times.ms)
    assert ((inside[0] <= truth) & (truth <= inside[1])).mean() < 0.5


def test_a_new_combination_of_seen_values_is_no_gap() -> None:
    rows = grid(SIDES)
    some = np.random.default_rng(0).random(len(rows)) < 0.7
    predictor = fit_predictor(_table(rows[some]), name="made", data=FACTS, trees=FAST)
    assert (predictor.levels("ffn", rows[~some]) == LEVELS.index("trees")).all()


def test_values_that_hardly_two_units_share_are_left_out_by_random_folds() -> None:
    rng = np.random.default_rng(0)
    side, width = np.repeat([4, 8, 16], 40), rng.permutation(np.arange(32, 512, 4))
    rows = ffn(side, width, np.full(120, 2))
    gaps = gaps_of("ffn", rows, law(rows), fold_of(120, 5, 0), WIDE, FAST)
    assert set(gaps) == {"h", "w"}


def test_between_two_values_nothing_is_known() -> None:
    rows = grid([4, 16])
    gap = gaps_of("ffn", rows, law(rows), fold_of(len(rows), 5, 0), WIDE, FAST)["h"]
    assert gap.errors is None and gap.coverage is None and gap.interval == WIDE


@pytest.mark.parametrize("phone", ["pixel4", "xiaomi11"])
def test_published_resolutions_that_neither_fit_nor_interval_saw(phone: str, shared_data: Path) -> None:
    table = nn_meter.read(shared_data / "nn_meter_lut" / f"{phone}_lut_ln_v3.json")
    rows, ms, trees = table.rows("ffn"), table.times("ffn").ms, TreeOptions(rounds=30)
    usual = interval_of(ms, cross_validate("ffn", rows, ms, fold_of(len(ms), 5, 0), trees))
    inside, narrow = [], []
    for side in np.unique(rows[:, 0])[1:-1]:
        out = rows[:, 0] == side
        known, times = rows[~out], ms[~out]
        position = np.unique(known[:, 0], return_inverse=True)[1]
        stated = interval_between(leave_groups_out("ffn", known, times, position, trees))
        predicted = fit_unit_model("ffn", known, times, trees).predict(rows[out])
        for interval, found in ((stated, inside), (usual, narrow)):
            low, high = interval.ends(predicted)
            found.append((low <= ms[out]) & (ms[out] <= high))
    assert 0.85 <= np.concatenate(inside).mean() <= 0.98
    assert np.concatenate(narrow).mean() < 0.6


@pytest.mark.parametrize("phone", ["pixel1", "pixel4", "pixel6", "xiaomi11"])
def test_shipped_predictors_know_their_gaps(phone: str) -> None:
    """Each value's interval from the others' errors: 90 % where there are many values, some less where few."""
    for kind, about in load_predictor(phone).report.kinds.items():
        assert "h" in about.gaps, kind
        for size, gap in about.gaps.items():
            assert (gap.values[0], gap.values[-1]) == about.ranges[size]
            many = len(gap.values) > 6 and about.errors.units > 500
            if many:
                assert gap.coverage is not None and 0.85 <= gap.coverage <= 0.97, (kind, size)


def _table(rows: IntArray) -> LatencyTable:
    return LatencyTable(
        {("ffn", tuple(row)): Entry(float(ms), "table", "") for row, ms in zip(rows.tolist(), law(rows))}
    )
