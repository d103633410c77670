"""Costs of whole networks of every space, against PyTorch; tables against direct evaluation."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from nas.blocks.counting import macs, params
from nas.blocks.ops import Ops
from nas.costs import cost
from nas.costs.counts import counted as columns_of
from nas.costs.counts import memory
from nas.costs.grouping import MAX_ROWS, merge
from nas.costs.plan import CostPlan
from nas.space import Arch, Space, load_space
from nas.space.symbolic import slot_dependencies
from nas.supernet.deploy import deployed
from nas.supernet.network import Network, build, start
from nas.testing.live import peak_elements

ROOT = Path(__file__).parents[2]
FILES = [*sorted((ROOT / "spaces").glob("*.yaml")), *sorted((ROOT / "tests/space/spaces").glob("*.yaml"))]
SPACES: dict[str, Space] = {path.stem: load_space(path) for path in FILES}
NETWORKS = [name for name, space in SPACES.items() if space.blueprint is not None]


@pytest.mark.parametrize("name", NETWORKS)
def test_macs_and_params_of_random_archs_equal_pytorch(name: str) -> None:
    space = SPACES[name]
    batch = space.sample(4 if name != "many" else 2, seed=11)
    counted = cost(space, batch)
    trained = cost(space, batch, "train")
    for index, arch in enumerate(batch):
        _equals_pytorch(space, arch, {name: int(values[index]) for name, values in counted.items()})
        assert counted["train_params"][index] == trained["params"][index]
        model = build(space, arch, seed=None).eval()
        assert _flops(model) == 2 * trained["macs"][index]


def _equals_pytorch(space: Space, arch: Arch, counted: dict[str, int]) -> None:
    model = build(space, arch, seed=None).eval()
    assert sum(p.numel() for p in model.parameters()) == counted["train_params"]
    small = deployed(model)
    assert _flops(small) == 2 * counted["macs"]
    assert sum(p.numel() for p in small.parameters()) == counted["params"]
    assert not list(small.buffers())


def _flops(model: Network) -> int:
    with FlopCounterMode(display=False) as counter:
        model(torch.empty(1, *model.input.shape, device="meta"))
    return int(counter.get_total_flops())


def test_presets_equal_pytorch() -> None:
    space = SPACES["elasticvit"]
    for arch in space.presets.values():
        _equals_pytorch(space, arch, {name: int(values[0]) for name, values in cost(space, arch).items()})


@pytest.mark.parametrize("name", [n for n in NETWORKS if n != "elasticvit"])
def test_memory_of_random_archs_equals_a_count_of_live_storages(name: str) -> None:
    space = SPACES[name]
    batch = space.sample(40, seed=2)
    counted = cost(space, batch)
    for index in np.argsort(counted["macs"])[:3]:  # the largest take minutes
        assert _measured(space, batch[int(index)]) == counted["memory"][index]


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
        assert together["memory"][index] == max(memory(s.unit, s.sizes, held=s.held) for s in slots)
        assert {k: v[0] for k, v in cost(space, arch).items()} == {k: v[index] for k, v in together.items()}


def test_slots_that_cannot_be_tabulated_are_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    import nas.costs.plan as module

    space = SPACES["predicates"]
    batch = space.sample(50, seed=0)
    tabulated = CostPlan(space, columns_of("deploy"))(batch)
    monkeypatch.setattr(module, "MAX_TABLE", 8)
    direct = CostPlan(space, columns_of("deploy"))
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
    assert cost(space, arch, "train")["params"][0] == sum(p.numel() for p in model.parameters())
    assert model(torch.zeros(1, 3, 16, 16)).shape == (1, 4)


def _values(space: Space, codes: np.ndarray) -> dict[str, int | float | str]:
    return {d.name: d.values[int(c)] for d, c in zip(space.decisions, codes, strict=True)}


def _measured(space: Space, arch: Arch) -> int:
    """Peak bytes of the deployed network: of each layer what hooks see, beside its inputs and what is read later."""
    model = deployed(build(space, arch))
    walk = start(torch.randn(1, *model.input.shape), model.description)
    weights, peak = (*model.parameters(), *model.buffers()), 0
    for index, (layer, module) in enumerate(zip(model.description, model.layers, strict=True)):
        inputs = [walk.kept[name] for name in layer.reads] or [walk.x]
        later = {name for other in model.description[index + 1 :] for name in other.reads} | {*model.outputs}
        held = [tensor for name, tensor in walk.kept.items() if name in later]
        beside = {id(tensor): tensor.numel() for tensor in (*inputs, *held)}
        seen = peak_elements(partial(walk.step, layer, module, Ops()), [*weights, *inputs, *held])
        peak = max(peak, seen + sum(beside.values()))
    return 4 * peak
