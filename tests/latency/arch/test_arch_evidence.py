"""Harder folds than random ones, on tables whose law is known; and the studies' own small tools."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

import nas
from nas.latency.evidence import leave_networks_out, leave_values_out, part_of
from nas.latency.features import work_terms
from nas.latency.model import TreeOptions
from nas.latency.rows import IntArray, unique_rows
from nas.latency.signature import rows_of, words
from nas.latency.slots import units_of
from nas.latency.spread import sample_networks
from nas.latency.table import Entry, Key, LatencyTable
from nas.latency.times import FloatArray

STUDIES = Path(__file__).resolve().parents[3] / "studies" / "predictors"
FAST = TreeOptions(rounds=10, few_rounds=10)


def work(kind: str, rows: IntArray) -> FloatArray:
    """10 GMAC/s and 20 us: what the linear part of a unit's model can say exactly."""
    terms = work_terms(kind, rows)
    macs = sum((value for name, value in terms.items() if name.endswith("_macs")), np.zeros(len(rows)))
    return np.asarray(macs / 1e7 + 0.02)


def ffn_rows() -> IntArray:
    side, width, ratio = np.meshgrid([4, 8, 16], [32, 48, 64, 80], [2, 3, 4], indexing="ij")
    act, norm = words("ffn", "act").index("relu"), words("ffn", "norm").index("layer_norm")
    sizes = {"h": side, "w": side, "channels": width, "hidden": width * ratio}
    return rows_of("ffn", {**{key: value.ravel() for key, value in sizes.items()}, "act": act, "norm": norm})


def test_each_value_is_left_out_once() -> None:
    rows = ffn_rows()
    ms = work("ffn", rows)
    found = list(leave_values_out("ffn", rows, ms, "channels", FAST))
    assert [(one.value, one.edge) for one in found] == [(32, True), (48, False), (64, False), (80, True)]
    for one in found:
        assert (one.rows[:, 2] == one.value).all() and len(one.rows) == (rows[:, 2] == one.value).sum()
        assert np.array_equal(one.true, work("ffn", one.rows))
        assert np.abs(one.predicted / one.true - 1).max() < 0.02
    assert not list(leave_values_out("ffn", rows, ms, "cin", FAST))
    assert not list(leave_values_out("ffn", rows[rows[:, 0] < 16], ms[rows[:, 0] < 16], "h", FAST))


def test_a_value_left_out_was_not_seen() -> None:
    rows = ffn_rows()
    odd = np.where(rows[:, 2] == 48, 3.0, 1.0) * work("ffn", rows)
    (one,) = [one for one in leave_values_out("ffn", rows, odd, "channels", FAST) if one.value == 48]
    assert (one.predicted < 0.5 * one.true).all()


def test_networks_left_out_lose_all_their_units() -> None:
    space, free = nas.load_space("elasticvit"), ("to_tokens", "to_map")
    every = space.lower(sample_networks(space, 400, 5))
    held = space.lower(sample_networks(space, 4, 0))
    entries: dict[Key, Entry] = {}
    for kind in {slot.kind for slot in every} - set(free):
        rows = np.concatenate(
            [units_of([s for s in slots if s.kind == kind], n)[0] for slots, n in ((every, 400), (held, 4))]
        )
        distinct, _ = unique_rows(rows)
        chosen = distinct if kind != "downsample" else distinct[:: max(len(distinct) // 400, 1)]
        both = np.concatenate([chosen, units_of([s for s in held if s.kind == kind], 4)[0]])
        distinct, _ = unique_rows(both)
        for row, ms in zip(distinct.tolist(), work(kind, distinct)):
            entries[kind, tuple(row)] = Entry(float(ms), "table", "law")
    table = LatencyTable(entries)
    found = leave_networks_out(table, space, 4, free=free)
    assert found.left_out == sum(
        len(np.unique(units_of([s for s in held if s.kind == kind], 4)[0], axis=0)) for kind in table.kinds
    )
    sums = np.zeros(4)
    for kind in table.kinds:
        rows, network = units_of([slot for slot in held if slot.kind == kind], 4)
        np.add.at(sums, network, work(kind, rows))
    assert np.allclose(found.true, sums)
    assert np.abs(np.asarray(found.predicted) / found.true - 1).max() < 0.05


def test_part_of_a_table() -> None:
    rows = ffn_rows()
    table = LatencyTable({("ffn", tuple(row)): Entry(1.0, "table", "") for row in rows.tolist()})
    part = part_of(table, lambda kind, some: some[:, 0] == 8)
    assert len(part) == (rows[:, 0] == 8).sum() and (part.rows("ffn")[:, 0] == 8).all()


@pytest.mark.parametrize("name", ["nasbench201", "published", "phones"])
def test_a_study_without_its_data_says_where_that_is(name: str, tmp_path: Path) -> None:
    command = [
        sys.executable,
        str(STUDIES / f"{name}.py"),
        "--data",
        str(tmp_path),
        "--output",
        str(tmp_path / "out"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: ") and "--data" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "path", sorted(STUDIES.glob("*/*.svg")), ids=lambda path: f"{path.parent.name}/{path.name}"
)
def test_figures_are_svg(path: Path) -> None:
    assert ElementTree.parse(path).getroot().tag == "{http://www.w3.org/2000/svg}svg"
