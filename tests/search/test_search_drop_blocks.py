"""Dropping blocks, against stages written out as lists of blocks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas.search.strategies import strategy
from nas.search.strategies.actions import all_actions
from nas.search.strategies.drop_blocks import without_blocks
from nas.space import ArchBatch, Space, load_space

SPACES = Path(__file__).parents[2] / "spaces"
SHALLOWEST = {"S1": 1, "S2": 1, "S3": 2, "S4": 2}
Blocks = tuple[tuple[bool, int], ...]


@pytest.fixture(scope="module")
def space() -> Space:
    return load_space(SPACES / "efficientformer_v2.yaml")


def _blocks(values: dict[str, Any], stage: str) -> Blocks:
    """Whether each block attends, and its expansion."""
    depth, count = values[f"{stage}.depth"], values.get(f"{stage}.count", 0)
    return tuple((i >= depth - count, values[f"{stage}.expansion[{i}]"]) for i in range(depth))


def _network(batch: ArchBatch) -> tuple[tuple[Blocks, ...], tuple[int, ...]]:
    (values,) = batch.to_dicts()
    return tuple(_blocks(values, s) for s in SHALLOWEST), tuple(values[f"{s}.width"] for s in SHALLOWEST)


@pytest.mark.parametrize("step", [1, 3])
def test_any_block_can_be_dropped_and_the_others_stay_what_they_are(step: int, space: Space) -> None:
    kinds = set()
    for seed in range(25):
        arch = space.sample(1, seed=seed)
        stages, widths = _network(arch)
        for number, (name, least) in enumerate(SHALLOWEST.items()):
            left = max(len(stages[number]) - step, least)
            gone = len(stages[number]) - left
            expected = {
                (*stages[:number], stages[number][:i] + stages[number][i + gone :], *stages[number + 1 :])
                for i in range(left + 1)
                if gone
            }
            found = without_blocks(arch, step)[f"{name}.depth"]
            networks = [_network(found[np.array([i])]) for i in range(len(found))]
            assert space.valid(found).all() and len(found) == len(expected)
            assert {network for network, _ in networks} == expected
            assert {width for _, width in networks} <= {widths}
            kinds.add((len(expected) > 1, bool(expected)))
    assert {(True, True), (False, False)} <= kinds


def test_they_are_among_the_actions_and_no_other_depths_are(space: Space) -> None:
    arch = space.sample(1, seed=3)
    actions = all_actions(arch, 1)
    dropped = {key for found in without_blocks(arch, 1).values() for key in found.ids}
    (before,) = arch.to_dicts()
    depths = [f"{stage}.depth" for stage in SHALLOWEST]
    shallower = {
        actions.ids[i]
        for i, values in enumerate(actions.to_dicts())
        if any(values[name] < before[name] for name in depths)
    }
    assert shallower == dropped and len(dropped) > 10
    assert len(set(actions.ids)) == len(actions) and arch.ids[0] not in actions.ids


def test_the_course_names_the_blocks_that_moved_up_as_one(space: Space) -> None:
    def cheap(batch: ArchBatch) -> tuple[np.ndarray, np.ndarray]:
        depth = batch.codes[:, [space.index[f"{stage}.depth"] for stage in SHALLOWEST]].sum(axis=1)
        return np.stack([np.full(len(batch), np.nan), depth.astype(float)], axis=1), np.zeros(len(batch))

    search = strategy("slimming", space, ("max", "min"), cheap=cheap, start="S0")
    start, (s0,) = space.encode([space.presets["S0"]]).ids[0], space.encode([space.presets["S0"]]).to_dicts()
    without_second = {**s0, "S4.depth": 3, "S4.expansion[1]": 3, "S4.expansion[2]": 4}
    best = space.encode([{k: v for k, v in without_second.items() if k != "S4.expansion[3]"}]).ids[0]
    while len(search.course()) < 2:
        batch = search.ask(100)
        loss = np.array([{best: 0.5, start: 1.0}.get(key, 2.0) for key in batch.ids])
        values = cheap(batch)[0][:, 1]
        search.tell(batch, np.stack([-loss, values], axis=1), None, {"loss": loss, "params": values})
    assert search.course()[1]["action"] == "S4.depth 4 → 3, S4.expansion 4 3 3 4 → 4 3 4"


def test_alike_blocks_are_one_action_and_a_missing_block_is_a_smaller_stage() -> None:
    space = load_space(SPACES / "elasticvit.yaml")
    arch = space.sample(1, seed=1)
    (before,) = arch.to_dicts()
    for name, found in without_blocks(arch, 1).items():
        values = space.decisions[space.index[name]].values
        lower = [value for value in values if value < before[name]]
        assert [one[name] for one in found.to_dicts()] == lower[-1:]
        assert all({k: v for k, v in one.items() if k in before and k != name}.items() <= before.items()
                   for one in found.to_dicts())  # fmt: skip
