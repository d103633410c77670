"""Costs of whole networks of every space, against PyTorch; tables against direct evaluation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from live_tensors import peak_elements
from torch.utils.flop_counter import FlopCounterMode

from nas.blocks.base import macs, params
from nas.blocks.ops import Ops
from nas.costs import cost
from nas.costs.counts import COUNTED, memory
from nas.costs.grouping import MAX_ROWS, merge
from nas.costs.plan import CostPlan
from nas.space import Arch, Space, load_space
from nas.space.symbolic import slot_dependencies
from nas.supernet.network import build

ROOT = Path(__file__).parents[2]
FILES = [*sorted((ROOT / "spaces").glob("*.yaml")), *sorted((ROOT / "tests/space/spaces").glob("*.yaml"))]
SPACES: dict[str, Space] = {path.stem: load_space(path) for path in FILES}
NETWORKS = [name for name, space in SPACES.items() if space.blueprint is not None]


@pytest.mark.parametrize("name", NETWORKS)
def test_macs_and_params_of_random_archs_equal_pytorch(name: str) -> None:
    space = SPACES[name]
    batch = space.sample(8 if name != "many" else 2, seed=11)
    counted = cost(space, batch)
    for index, arch in enumerate(batch):
        model = build(space, arch, seed=None).eval()
        with FlopCounterMode(display=False) as counter:
            model(torch.empty(1, 3, model.resolution, model.resolution, device="meta"))
        assert counter.get_total_flops() == 2 * counted["macs"][index]
        assert sum(p.numel() for p in model.parameters()) == counted["params"][index]


def test_presets_equal_pytorch() -> None:
    space = SPACES["elasticvit"]
    for arch in space.presets.values():
        model = build(space, arch, seed=None).eval()
        with FlopCounterMode(display=False) as counter:
            model(torch.empty(1, 3, model.resolution, model.resolution, device="meta"))
        counted = cost(space, arch)
        assert counter.get_total_flops() == 2 * counted["macs"][0]
        assert sum(p.numel() for p in model.parameters()) == counted["params"][0]


@pytest.mark.parametrize("name", [n for n in NETWORKS if n != "elasticvit"])
def test_memory_of_random_archs_equals_a_count_of_live_storages(name: str) -> None:
    space = SPACES[name]
    batch = space.sample(3, seed=2)
    for arch, counted in zip(batch, cost(space, batch)["memory"], strict=True):
        assert _measured(space, arch) == counted


@pytest.mark.parametrize("preset", ["min-200", "T1", "T2", "S1"])
def test_memory_of_presets_equals_a_count_of_live_storages(preset: str) -> None:
    space = SPACES["elasticvit"]
    assert _measured(space, space.presets[preset]) == cost(space, space.presets[preset])["memory"][0]


@pytest.mark.parametrize("name", NETWORKS)
def test_tables_equal_direct_evaluation(name: str) -> None:
    space = SPACES[name]
    batch = space.sample(60, seed=5)
    together = cost(space, batch)
    for index, arch in enumerate(batch):
        slots = [slot for slot in space.lower(arch) if slot.active]
        assert together["macs"][index] == sum(macs(s.unit, s.sizes) for s in slots)
        assert together["params"][index] == sum(params(s.unit, s.sizes) for s in slots)
        assert together["memory"][index] == max(memory(s.unit, s.sizes) for s in slots)
        assert {k: v[0] for k, v in cost(space, arch).items()} == {k: v[index] for k, v in together.items()}


def test_slots_that_cannot_be_tabulated_are_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    import nas.costs.plan as module

    space = SPACES["predicates"]
    batch = space.sample(50, seed=0)
    tabulated = CostPlan(space, COUNTED)(batch)
    monkeypatch.setattr(module, "MAX_TABLE", 8)
    direct = CostPlan(space, COUNTED)
    assert direct.has_direct
    for name, values in direct(batch).items():
        assert np.array_equal(values, tabulated[name])


def test_large_batches_are_gathered_in_chunks() -> None:
    space = SPACES["elasticvit"]
    batch = space.sample(20_000, seed=0)
    whole = cost(space, batch)
    part = cost(space, batch[8000:8500])
    assert all(np.array_equal(whole[name][8000:8500], part[name]) for name in whole)
    assert all(len(values) == 0 for values in cost(space, batch[:0]).values())


def test_groups_cover_every_slot_and_stay_small() -> None:
    space = SPACES["elasticvit"]
    sizes = [len(d) for d in space.decisions]
    dependent = slot_dependencies(space)
    groups = merge(dependent, sizes)
    assert all(any(set(deps) <= set(group) for group in groups) for deps in dependent)
    assert max(np.prod([sizes[d] for d in group]) for group in groups) <= MAX_ROWS


def test_dependencies_are_those_that_change_a_slot() -> None:
    """Changing one decision of an arch changes only slots that are said to depend on it."""
    space = SPACES["elasticvit"]
    dependent = slot_dependencies(space)
    base = space.sample(1, seed=0).codes[0]
    before = space.lower(Arch(space, _values(space, base)))
    names = [slot.name for slot in before]
    every = {s.name: d for s, d in zip(space.lower(space.sample(1, seed=0)), dependent)}
    for index, decision in enumerate(space.decisions):
        codes = base.copy()
        codes[index] = (codes[index] + 1) % len(decision)
        after = {s.name: (s.sizes, s.active) for s in space.lower(Arch(space, _values(space, codes)))}
        for slot in before:
            if after.get(slot.name) != (slot.sizes, slot.active):
                assert index in every[slot.name], (decision.name, slot.name)
    assert set(names) <= set(every)


def test_a_preset_outside_the_space_is_costed_and_built(tmp_path: Path) -> None:
    text = (ROOT / "tests/space/spaces/single.yaml").read_text()
    path = tmp_path / "s.yaml"
    path.write_text(text + "presets:\n  wide: {first.width: 40}\n")
    space = load_space(path)
    arch = space.presets["wide"]
    assert not space.contains(arch)
    model = build(space, arch)
    assert cost(space, arch)["params"][0] == sum(p.numel() for p in model.parameters())
    assert model(torch.zeros(1, 3, 16, 16)).shape == (1, 4)


def _values(space: Space, codes: np.ndarray) -> dict[str, int | float | str]:
    return {d.name: d.values[int(c)] for d, c in zip(space.decisions, codes, strict=True)}


def _measured(space: Space, arch: Arch) -> int:
    model = build(space, arch).eval()
    inputs = [torch.randn(1, 3, model.resolution, model.resolution)]

    def run() -> None:
        x = inputs.pop()
        for layer, module in zip(model.description, model.layers, strict=True):
            x = module(x, layer.sizes, Ops())

    return 4 * peak_elements(run, inputs, (*model.parameters(), *model.buffers()))
