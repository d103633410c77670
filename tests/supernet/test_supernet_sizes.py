"""The sizes a supernet is built for are those that lowering every combination of all decisions gives."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from nas.space import load_space
from nas.space.lowering import lower
from nas.supernet.supernet import possible_sizes

SPACES = Path(__file__).parents[1] / "space" / "spaces"
NAMES = ("operators", "suffix", "optional", "predicates", "layouts", "single", "pools")


@pytest.mark.parametrize("scale", [1.0, 0.5])
@pytest.mark.parametrize("name", NAMES)
def test_possible_sizes_are_those_of_every_combination(name: str, scale: float) -> None:
    space = load_space(SPACES / f"{name}.yaml")
    codes = np.array(list(itertools.product(*[range(len(d)) for d in space.decisions])), dtype=np.int16)
    assert space.blueprint is not None
    expected: dict[str, set[tuple[int, ...]]] = {}
    for slot in lower(space.blueprint, space.columns(codes), scale=scale, classes=5):
        active = np.broadcast_to(slot.active, len(codes))
        rows = np.stack([np.broadcast_to(v, len(codes))[active] for v in slot.sizes.values()], axis=1)
        if len(rows):
            expected.setdefault(slot.name, set()).update(map(tuple, np.unique(rows, axis=0).tolist()))
    possible = {
        slot: set(map(tuple, np.stack(list(sizes.values()), axis=1).tolist()))
        for slot, (_, sizes) in possible_sizes(space, 5, scale).items()
    }
    assert possible == expected


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
