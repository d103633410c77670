"""The sizes a supernet is built for are those that lowering every combination of all decisions gives."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nas.space import load_space
from nas.space.batch import ArchBatch
from nas.space.lowering import lower
from nas.space.space import Space
from nas.supernet.supernet import Supernet, possible_sizes

SPACES = Path(__file__).parents[1] / "space" / "spaces"
NAMES = ("operators", "suffix", "optional", "predicates", "layouts", "single", "pools")


@pytest.mark.parametrize("scale", [1.0, 0.5])
@pytest.mark.parametrize("name", NAMES)
def test_possible_sizes_are_those_of_every_combination(name: str, scale: float) -> None:
    """Of every one that the rules allow, and of none that is no combination of values."""
    space = load_space(SPACES / f"{name}.yaml")
    codes = np.array(list(itertools.product(*[range(len(d)) for d in space.decisions])), dtype=np.int16)
    valid = space.valid(ArchBatch(space, codes))
    every, allowed = _sizes(space, codes, scale), _sizes(space, codes[valid], scale)
    possible = {
        slot: set(map(tuple, np.stack(list(sizes.values()), axis=1).tolist()))
        for slot, (_, sizes) in possible_sizes(space, 5, scale).items()
    }
    assert allowed.keys() <= possible.keys() <= every.keys()
    assert all(allowed.get(slot, set()) <= sizes <= every[slot] for slot, sizes in possible.items())
    if not space.rules:
        assert possible == every


def _sizes(space: Space, codes: np.ndarray[Any, Any], scale: float) -> dict[str, set[tuple[int, ...]]]:
    """Sizes of every slot, lowered for all archs at once."""
    assert space.blueprint is not None
    found: dict[str, set[tuple[int, ...]]] = {}
    for slot in lower(space.blueprint, space.columns(codes), scale=scale, classes=5):
        active = np.broadcast_to(slot.active, len(codes))
        rows = np.stack([np.broadcast_to(v, len(codes))[active] for v in slot.sizes.values()], axis=1)
        if len(rows):
            found.setdefault(slot.name, set()).update(map(tuple, np.unique(rows, axis=0).tolist()))
    return found


def test_slots_of_too_many_decisions_are_drawn_and_swept(monkeypatch: pytest.MonkeyPatch) -> None:
    space = load_space(SPACES / "predicates.yaml")
    whole = possible_sizes(space, None, 1.0)
    monkeypatch.setattr("nas.supernet.supernet.MAX_TABLE", 1)
    drawn = possible_sizes(space, None, 1.0)
    assert set(drawn) == set(whole)
    for slot, (unit, sizes) in drawn.items():
        rows = [set(zip(*(v.tolist() for v in s.values()))) for s in (sizes, whole[slot][1])]
        assert unit is whole[slot][0] and rows[0] <= rows[1]
        assert {key: max(v) for key, v in sizes.items()} == {k: max(v) for k, v in whole[slot][1].items()}


FORBIDDEN = """
version: 1
name: forbidden
input: {resolution: 64, classes: 10}
stages:
  stem: {block: conv_bn, stride: 4, width: 16, kernel: 3}
  T:
    block: efficientvit
    stride: 2
    downsample: {block: efficientvit_subsample}
    depth: [1, 2]
    width: [16, 32]
    heads: [2, 3, 4]
  head: {block: classifier}
rules:
  - T.width % T.heads == 0
"""


def test_what_a_rule_forbids_in_every_combination_needs_no_weights(tmp_path: Path) -> None:
    """Three heads divide no width here, so their attention cannot be built, and need not be."""
    (tmp_path / "space.yaml").write_text(FORBIDDEN)
    space = load_space(tmp_path / "space.yaml")
    sizes = [of for unit, of in possible_sizes(space, None, 1.0).values() if "heads" in of]
    assert sizes and all(set(of["heads"].tolist()) == {2, 4} for of in sizes)
    network = Supernet(space, seed=0)
    for arch in space.sample(4, seed=0):
        assert network(torch.zeros(1, 3, 64, 64), arch).shape == (1, 10)
