"""Tables of costs and latency kept on disk: the same values, and nothing computed where they lie there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nas import cache
from nas.costs import plan as plans
from nas.costs.counts import counted
from nas.costs.plan import CostPlan
from nas.latency.device import Device, load_device
from nas.latency.plan import columns
from nas.latency.table import Entry, LatencyTable
from nas.latency.timed_units import TimedUnits
from nas.space import Space, load_space

SMALL = Path(__file__).parents[1] / "space/spaces"
Counting = Callable[[], int]


@pytest.fixture(autouse=True)
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NAS_CACHE", str(tmp_path / "kept"))
    return tmp_path / "kept"


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Counting:
    """How many plans were computed so far."""
    times: list[int] = []
    whole = CostPlan._made

    def counting(self: CostPlan) -> object:
        times.append(1)
        return whole(self)

    monkeypatch.setattr(CostPlan, "_made", counting)
    return lambda: len(times)


def _space(name: str = "predicates") -> Space:
    return load_space(SMALL / f"{name}.yaml")


def _equal(a: CostPlan, b: CostPlan) -> None:
    batch = a.space.sample(200, seed=0)
    first, second = a(batch), b(batch)
    assert list(first) == list(second)
    assert all(np.array_equal(first[name], second[name]) for name in first)
    for (deps, table), (same, read) in zip(a.tables("macs"), b.tables("macs"), strict=True):
        assert deps == same and np.array_equal(table, read)


@pytest.mark.parametrize("name", ["predicates", "many", "suffix", "single"])
def test_a_plan_from_disk_equals_the_plan_that_was_made(name: str, made: Counting) -> None:
    first = CostPlan(_space(name), counted("deploy"), [])
    second = CostPlan(_space(name), counted("deploy"), [])
    assert made() == 1
    _equal(first, second)
    _equal(CostPlan(_space(name), counted("deploy")), second)


def test_slots_that_are_computed_directly_are_kept_too(
    made: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    tabulated = CostPlan(_space(), counted("deploy"), [])
    monkeypatch.setattr(plans, "MAX_TABLE", 8)
    direct = [CostPlan(_space(), counted("deploy"), []) for _ in range(2)]
    assert made() == 2 and direct[1].has_direct
    batch = tabulated.space.sample(100, seed=0)
    for name, values in direct[1](batch).items():
        assert np.array_equal(values, tabulated(batch)[name])


def test_nothing_is_kept_without_a_key(kept: Path, made: Counting) -> None:
    CostPlan(_space(), counted("deploy")), CostPlan(_space(), counted("deploy"))
    assert made() == 2 and not kept.exists()


def test_another_space_or_other_limits_are_another_entry(
    tmp_path: Path, made: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    CostPlan(_space(), counted("deploy"), [])
    text = (SMALL / "predicates.yaml").read_text()
    path = tmp_path / "predicates.yaml"
    path.write_text(text.replace("classes: ", "classes: 1"))
    assert load_space(path).digest != _space().digest
    CostPlan(load_space(path), counted("deploy"), [])
    monkeypatch.setattr("nas.costs.grouping.MAX_ROWS", 64)
    CostPlan(_space(), counted("deploy"), [])
    CostPlan(_space(), counted("deploy"), ["else"])
    CostPlan(_space(), counted("deploy")[:1], [])
    assert made() == 5


def test_damaged_and_foreign_tables_are_made_anew_and_replaced(kept: Path, made: Counting) -> None:
    first = CostPlan(_space(), counted("deploy"), [])
    (path,) = kept.iterdir()
    whole = path.read_bytes()
    stored = dict(np.load(path))
    path.write_bytes(whole[: len(whole) // 2])
    _equal(first, CostPlan(_space(), counted("deploy"), []))
    foreign = (
        {**stored, "sums": stored["sums"][:-1]},
        {"key": stored["key"]},
        {**stored, "deps": stored["deps"] + 99},
    )
    for number, arrays in enumerate(foreign):
        np.savez(path, **arrays)
        _equal(first, CostPlan(_space(), counted("deploy"), []))
        assert made() == 3 + number
    CostPlan(_space(), counted("deploy"), [])
    assert made() == 5


def test_latency_is_kept_by_the_devices_digest(made: Counting) -> None:
    space = _space("operators")
    batch = space.sample(50, seed=0)
    values = [load_device("pixel6").latency(_space("operators"), batch) for _ in range(2)]
    assert made() == 1
    for part in ("low", "high"):
        assert np.array_equal(getattr(values[0], part), getattr(values[1], part))
    assert np.array_equal(np.asarray(values[0]), np.asarray(values[1]))
    assert not np.array_equal(np.asarray(load_device("pixel4").latency(space, batch)), np.asarray(values[0]))
    assert made() == 2


def test_no_trees_are_read_where_the_tables_lie_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = _space("operators").sample(5, seed=0)
    load_device("pixel6").latency(_space("operators"), batch)
    monkeypatch.setattr("nas.latency.predictor.read_trees", lambda *a: pytest.fail("trees were read"))
    load_device("pixel6").latency(_space("operators"), batch)


def test_digests_follow_every_file_of_a_device(tmp_path: Path) -> None:
    folder = _copied(tmp_path)
    before = load_device(folder).units.digest
    assert before is not None and before == load_device(folder).units.digest
    trees = sorted((folder / "pixel6").glob("*.gz"))
    assert trees
    for path in trees:
        whole = path.read_bytes()
        path.write_bytes(whole + b"\n")
        assert load_device(folder).units.digest not in (None, before)
        path.write_bytes(whole)
    trees[0].unlink()
    assert load_device(folder).units.digest is None


def test_damaged_trees_are_an_error_with_tables_on_disk_as_without(tmp_path: Path) -> None:
    from nas.errors import NasError

    folder = _copied(tmp_path)
    batch = _space("operators").sample(5, seed=0)
    load_device(folder).latency(_space("operators"), batch)
    path = folder / "pixel6/mbconv.ubj.gz"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(NasError, match="not the file"):
        load_device(folder).latency(_space("operators"), batch)


def _copied(tmp_path: Path) -> Path:
    import shutil

    root = Path(__file__).parents[2]
    folder = tmp_path / "pixel6"
    shutil.copytree(root / "devices/pixel6", folder)
    shutil.copytree(root / "predictors/pixel6", folder / "pixel6")
    return folder


def test_digests_of_tables_and_free_kinds() -> None:
    def units(ms: float, free: tuple[str, ...] = (), spread: float | None = None) -> TimedUnits:
        key = ("to_map", (4, 4, 8))
        table = LatencyTable({key: Entry(ms, "measured", "here", spread)})
        return TimedUnits("d", table, None, frozenset(free), None)

    same = units(1.0).digest
    assert same == units(1.0).digest and same is not None
    others = {units(2.0).digest, units(1.0, ("to_map",)).digest, units(1.0, spread=0.5).digest}
    assert len({same, *others}) == 4


def test_a_predictor_that_lies_in_no_file_is_not_kept(kept: Path) -> None:
    device = load_device("pixel6")
    assert device.predictor is not None
    device.predictor.check()
    device.predictor.folder = None
    assert Device(device.file, device.folder, None, device.predictor).units.digest is None
    assert [c.combine for c in columns(device.units)] == ["sum", "max"]
    device.latency(_space("operators"), _space("operators").sample(3, seed=0))
    assert not kept.exists() and cache.folder() == kept
