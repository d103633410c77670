"""Which units and networks are timed."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from profiling_samples import tiny_space

from nas.costs.counts import cost
from nas.latency.profiling.choice import most_useful, spread_out
from nas.latency.profiling.use import Use, space_use, working_set_kib
from nas.latency.profiling.whole import spread_networks
from nas.latency.rows import IntArray
from nas.latency.signature import rows_of
from nas.latency.table import Entry, Key, LatencyTable
from nas.latency.times import CODES, UnitTimes
from nas.space import Space, load_space

ENTRY = Entry(1.0, "measured", "x")


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Space:
    return load_space(tiny_space(tmp_path_factory.mktemp("space")))


def test_use_counts_the_units_of_networks(space: Space) -> None:
    """Against networks lowered one by one."""
    uses = space_use(space, draws=200, seed=5)
    counted: Counter[Key] = Counter()
    for arch in space.sample(200, seed=5):
        for slot in space.lower(arch):
            if slot.active:
                row = rows_of(slot.kind, slot.sizes)[0]
                counted[slot.kind, tuple(int(size) for size in row)] += 1
    found = {
        (kind, tuple(int(size) for size in row)): count * 200
        for kind, use in uses.items()
        for row, count in zip(use.rows, use.count)
    }
    assert found == pytest.approx(dict(counted))


def test_presets_are_part_of_the_space() -> None:
    space = load_space("elasticvit")
    uses = space_use(space, draws=10, seed=0)
    for arch in space.presets.values():
        for slot in space.lower(arch):
            if slot.active:
                assert len(uses[slot.kind].find(rows_of(slot.kind, slot.sizes))) == 1


def test_the_first_units_cover_kinds_and_corners() -> None:
    uses = space_use(load_space("elasticvit"), draws=2000, seed=0)
    keys = spread_out(uses, LatencyTable({}), 160)
    assert len(keys) == len(set(keys)) == 160
    assert {kind for kind, _ in keys[: len(uses)]} == set(uses)  # any beginning has every kind
    for kind, use in uses.items():
        rows = np.array([row for of, row in keys if of == kind])
        for column, whole in zip(rows.T, use.rows.T):
            span = np.log(whole.max() / max(whole.min(), 1)) if whole.min() > 0 else 0.0
            covered = np.log(column.max() / max(column.min(), 1)) if column.min() > 0 else 0.0
            assert covered >= 0.7 * span, kind


def test_what_is_known_is_not_chosen_again(space: Space) -> None:
    uses = space_use(space, draws=500)
    first = spread_out(uses, LatencyTable({}), 20)
    known = LatencyTable(dict.fromkeys(first, ENTRY))
    assert spread_out(uses, known, 20) == []
    more = spread_out(uses, known, 30)
    assert 0 < len(more) <= 10 and not set(more) & set(first)
    everything = {(kind, tuple(map(int, row))): ENTRY for kind, use in uses.items() for row in use.rows}
    assert most_useful(uses, LatencyTable(everything), _flat, 10) == []


def test_units_that_are_uncertain_and_used_come_first() -> None:
    """One kind, far apart: the order is that of use times width."""
    rows = np.array([[2**k, 2**k, 8] for k in range(0, 9)])
    use = {"to_map": Use("to_map", rows, np.array([1.0, 1, 1, 9, 1, 1, 5, 1, 1]))}
    width = np.array([0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 3.0, 0.1])

    def predict(kind: str, asked: IntArray) -> UnitTimes:
        at = use[kind].find(asked)
        ms = np.full(len(at), 10.0)
        return UnitTimes(
            ms, np.full(len(at), CODES["predicted"], np.uint8), ms - width[at] / 2, ms + width[at] / 2
        )

    chosen = most_useful(use, LatencyTable({}), predict, 3)
    assert [row[0] for _, row in chosen] == [2**7, 2**3, 2**6]


def test_neighbours_of_a_timed_unit_can_wait() -> None:
    rows = np.array([[64, 64, 8], [65, 65, 8], [4, 4, 8], [512, 512, 8]])
    use = {"to_map": Use("to_map", rows, np.array([1.0, 1.0, 0.8, 0.8]))}
    known = LatencyTable({("to_map", (64, 64, 8)): ENTRY})
    assert [row[0] for _, row in most_useful(use, known, _flat, 3)] == [4, 512, 65]


def _flat(kind: str, rows: IntArray) -> UnitTimes:
    ms = np.ones(len(rows))
    return UnitTimes(ms, np.full(len(rows), CODES["predicted"], np.uint8), 0.9 * ms, 1.1 * ms)


@pytest.mark.parametrize("count", [1, 2, 7, 30])
def test_networks_are_valid_different_and_spread(count: int) -> None:
    space = load_space("elasticvit")
    archs = spread_networks(space, count, seed=3)
    assert len({arch.id for arch in archs}) == count
    assert all(space.contains(arch) for arch in archs)
    if count == 30:
        sizes = cost(space, space.batch(archs))["macs"]
        uniform = cost(space, space.sample(2000, seed=1))["macs"]
        assert sizes.min() <= uniform.min() and sizes.max() >= uniform.max()
        assert [arch.id for arch in spread_networks(space, count, seed=3)] == [arch.id for arch in archs]


def test_a_small_space_gives_what_it_has(space: Space, tmp_path: Path) -> None:
    path = tmp_path / "one.yaml"
    path.write_text(
        "version: 1\nname: one\ninput: {resolution: [16, 24], classes: 4}\nstages:\n"
        "  first: {block: conv_stem, stride: 2, width: 8}\n  head: {block: pooled_head, hidden: 8}\n"
    )
    assert len(spread_networks(load_space(path), 30, seed=0)) == 2
    assert spread_networks(space, 0, seed=0) == []


def test_the_working_set_is_the_weights_of_a_network() -> None:
    space = load_space("elasticvit")
    mean = cost(space, space.sample(2000, seed=1))["params"].mean() * 4 / 1024
    assert working_set_kib(space) == pytest.approx(mean, rel=0.1)
