"""Few-shot transfer between the published phones, and its files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from nas.latency import nn_meter
from nas.latency.fit import fit_predictor
from nas.latency.predictor import LEVELS, Predictor, load_predictor
from nas.latency.report import DataFacts
from nas.latency.table import LatencyTable
from nas.latency.times import CODES, FloatArray

PHONES = ("pixel1", "pixel4", "pixel6", "xiaomi11")
FACTS = DataFacts(file="made.csv", sha256="0", source="made up", licence="none", units=0)


def published(folder: Path, phone: str) -> LatencyTable:
    return nn_meter.read(folder / "nn_meter_lut" / f"{phone}_lut_ln_v3.json")


def drawn(table: LatencyTable, count: int, seed: int) -> LatencyTable:
    """Units of every kind in turn."""
    rng, entries = np.random.default_rng(seed), dict(table.items())
    by_kind = [[key for key in entries if key[0] == kind] for kind in table.kinds]
    shuffled = [rng.permutation(len(keys)) for keys in by_kind]
    turns = [divmod(i, len(by_kind)) for i in range(count)]
    keys = [by_kind[kind][shuffled[kind][turn % len(by_kind[kind])]] for turn, kind in turns]
    return LatencyTable({key: entries[key] for key in keys})


def judged(predictor: Predictor, table: LatencyTable) -> tuple[FloatArray, FloatArray, FloatArray]:
    """True and predicted ms of units of every kind, and whether the interval holds."""
    true, predicted, held = [], [], []
    for kind in table.kinds:
        rows, ms = table.rows(kind)[::9], table.times(kind).ms[::9]
        times = predictor.predict(kind, rows)
        true, predicted = [*true, ms], [*predicted, times.ms]
        held.append((times.low <= ms) & (ms <= times.high))
    return np.concatenate(true), np.concatenate(predicted), np.concatenate(held)


@pytest.mark.parametrize("phone", PHONES)
def test_a_fourth_phone_from_twenty_units(phone: str, shared_data: Path) -> None:
    """Far better than the nearest other phone as it is; the interval holds about as often as it says."""
    table = published(shared_data, phone)
    others = [load_predictor(other) for other in PHONES if other != phone]
    errors, held, ranks = [], [], []
    for seed in range(4):
        new = fit_predictor(drawn(table, 20, seed), name="new", data=FACTS, like=others)
        true, predicted, inside = judged(new, table)
        errors.append(np.abs(predicted / true - 1).mean())
        held.append(inside.mean())
        ranks.append(spearmanr(true, predicted)[0])
    as_they_are = []
    for other in others:
        true, predicted, _ = judged(other, table)
        as_they_are.append(np.abs(predicted / true - 1).mean())
    assert np.mean(errors) < 0.06
    assert np.mean(errors) < 0.5 * min(as_they_are) or np.mean(errors) < 0.04
    assert np.mean(ranks) > 0.99
    assert np.mean(held) >= 0.75


def test_more_units_help(shared_data: Path) -> None:
    table, like = published(shared_data, "pixel1"), load_predictor("xiaomi11")
    errors = []
    for count in (10, 60):
        found = [
            fit_predictor(drawn(table, count, seed), name="n", data=FACTS, like=like) for seed in range(3)
        ]
        judgements = [judged(one, table) for one in found]
        errors.append(np.mean([np.abs(p / t - 1).mean() for t, p, _ in judgements]))
    assert errors[0] > errors[1]


def test_a_transferred_predictor_travels_with_its_sources(shared_data: Path, tmp_path: Path) -> None:
    table = drawn(published(shared_data, "pixel1"), 15, 0)
    sources = [load_predictor("pixel6"), load_predictor("pixel4")]
    new = fit_predictor(table, name="new", data=FACTS, like=sources)
    new.write(tmp_path / "new")
    again = load_predictor(tmp_path / "new")
    assert again.report == new.report
    assert "transferred from pixel6, pixel4 by 15 units" in again.describe()
    for kind in table.kinds:
        a, b = new.predict(kind, table.rows(kind)), again.predict(kind, table.rows(kind))
        assert np.array_equal(a.ms, b.ms)
        assert np.array_equal(a.high, b.high)


def test_kinds_never_timed_here_are_estimates(shared_data: Path) -> None:
    full = published(shared_data, "pixel1")
    some = LatencyTable({key: entry for key, entry in drawn(full, 40, 0).items() if key[0] != "ffn"})
    new = fit_predictor(some, name="new", data=FACTS, like=load_predictor("pixel6"))
    rows, ms = full.rows("ffn")[::20], full.times("ffn").ms[::20]
    times = new.predict("ffn", rows)
    assert (times.provenance == CODES["estimated"]).all()
    assert (new.levels("ffn", rows) == LEVELS.index("transfer")).all()
    assert ((times.low <= ms) & (ms <= times.high)).mean() > 0.8
