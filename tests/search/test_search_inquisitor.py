"""The inquisitor on worlds whose law is known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from nas.search.inquisitor import Inquisitor, _interventions, one_less_deep
from nas.space import Arch, ArchBatch, Space, load_space

TEXT = """\
version: 1
name: s
input: {resolution: 32, channels: 3, classes: 4}
decisions: {a: [1, 2, 3, 4, 5], b: [1, 2, 3, 4, 5], c: {values: [x, y], kind: categorical}}
stages:
  embed: {block: patch_embed, stride: 4, width: 8, kernel: 5}
  unroll: {block: unroll, span: 8, mask_unit: 8}
  S: {block: hiera, depth: {min: 1, max: 6}, width: 8, heads: 2}
  head: {block: mean_head}
"""


def _space(folder: Path) -> Space:
    path = folder / "s.yaml"
    path.write_text(TEXT)
    return load_space(path)


def _law(batch: ArchBatch) -> np.ndarray:
    """Performance: 2 a − b and one more for y; depth does nothing."""
    codes = batch.codes.astype(float)
    return np.asarray(2 * codes[:, 0] - codes[:, 1] + codes[:, 2])


def _told(space: Space, n: int, hidden: bool = False) -> tuple[Inquisitor, ArchBatch]:
    batch = space.sample(n, seed=1).unique()
    inquisitor = Inquisitor(space)
    noise = np.random.default_rng(0).normal(size=len(batch)) * hidden * 5
    inquisitor.hear(batch, [{"loss": -float(v), "S.rank": 0.5} for v in _law(batch) + noise])
    inquisitor.learn(batch, _law(batch) + noise)
    return inquisitor, batch


def _all(space: Space) -> ArchBatch:
    shape = [len(d) for d in space.decisions]
    return ArchBatch(space, np.stack([axis.ravel() for axis in np.indices(shape)], axis=1))


def test_effects_are_those_of_the_law(tmp_path: Path) -> None:
    space = _space(tmp_path)
    inquisitor, _ = _told(space, 60)
    insight = inquisitor.insight(_all(space), lambda performance, archs: performance)
    assert insight is not None and insight.skill > 0.9
    expected = [2 * np.arange(-2.0, 3.0), np.arange(2.0, -3.0, -1.0), np.array([-0.5, 0.5]), np.zeros(6)]
    for found, true in zip(insight.effects, expected):
        assert found == pytest.approx(true, abs=0.25)
    assert insight.spreads == pytest.approx([np.std(true) for true in expected], abs=0.2)
    assert insight.responses["S.rank"] == pytest.approx(0.5)


def test_costs_and_requirements_are_those_of_the_changed_network(tmp_path: Path) -> None:
    """Utility: performance − 3 a; a = 5 is forbidden and has no effect of its own."""
    space = _space(tmp_path)
    inquisitor, _ = _told(space, 60)

    def worth(performance: np.ndarray, archs: ArchBatch) -> np.ndarray:
        worth = performance - 3 * archs.codes[:, 0]
        return np.asarray(np.where(archs.codes[:, 0] == 4, np.nan, worth))

    insight = inquisitor.insight(_all(space)[np.arange(0, 300, 7)], worth)
    assert insight is not None
    assert insight.effects[0] == pytest.approx([1.5, 0.5, -0.5, -1.5, 0.0], abs=0.25)


def test_responses_judge_what_decisions_cannot(tmp_path: Path) -> None:
    """The performance is mostly something that only the response shows."""
    space = _space(tmp_path)
    inquisitor, told = _told(space, 60, hidden=True)
    fresh = space.sample(80, seed=9).unique().without(told.hashes)
    truth = _law(fresh) + np.random.default_rng(3).normal(size=len(fresh)) * 5
    inquisitor.hear(fresh, [{"loss": -float(v), "S.rank": 0.5} for v in truth])
    judged, expected = inquisitor.judged(fresh), inquisitor.expected(fresh)
    assert judged is not None and expected is not None
    assert np.corrcoef(judged, truth)[0, 1] > 0.97 > np.corrcoef(expected, truth)[0, 1] + 0.1


def test_a_block_left_out_says_what_less_depth_would_do(tmp_path: Path) -> None:
    """Only one depth was ever probed, so that nothing else can tell its effect: 0.5 for each block."""
    space = _space(tmp_path)
    codes = space.sample(60, seed=1).codes.copy()
    codes[:, 3] = 3
    batch = ArchBatch(space, codes).unique()
    effects = {}
    for last in (0.0, 0.5):
        inquisitor = Inquisitor(space)
        inquisitor.hear(batch, [{"loss": -float(v), "S.last": last} for v in _law(batch)])
        inquisitor.learn(batch, _law(batch))
        insight = inquisitor.insight(batch, lambda performance, archs: performance)
        assert insight is not None
        effects[last] = np.diff(insight.effects[3])
    assert effects[0.0] == pytest.approx(np.zeros(5), abs=0.05)
    assert effects[0.5] == pytest.approx(np.full(5, 0.5), abs=0.1)


def test_it_concludes_nothing_from_too_little(tmp_path: Path) -> None:
    space = _space(tmp_path)
    inquisitor, batch = _told(space, 3)
    assert inquisitor.judged(batch) is None and inquisitor.expected(batch) is None
    assert inquisitor.insight(batch, lambda performance, archs: performance) is None


def test_a_restored_inquisitor_concludes_the_same(tmp_path: Path) -> None:
    space = _space(tmp_path)
    inquisitor, batch = _told(space, 30, hidden=True)
    unseen = space.sample(20, seed=5).unique().without(batch.hashes)
    inquisitor.hear(unseen, [{"loss": 1.0, "T.entropy": 0.3}] * len(unseen))
    inquisitor.learn(batch[:1], np.array([np.nan]))
    other = Inquisitor(space)
    other.restore(json.loads(json.dumps(inquisitor.state())))
    for a, b in zip(
        (inquisitor.judged(unseen), inquisitor.expected(batch)), (other.judged(unseen), other.expected(batch))
    ):
        assert a is not None and b is not None and (a == b).all()
    assert other.state() == inquisitor.state()


def test_one_less_deep_is_the_network_without_the_stages_last_block() -> None:
    """V2's stages end in counted attention blocks, and each block has an expansion of its own."""
    space = load_space("efficientformer_v2")
    archs = space.sample(12, seed=3)
    for stage in ("S1", "S3"):
        shallower, there = one_less_deep(archs, stage)
        assert there.any() and space.valid(shallower[np.flatnonzero(there)]).all()
        for row in np.flatnonzero(there):
            last = f"{stage}.{archs[int(row)][f'{stage}.depth'] - 1}."
            rest = [slot for slot in _layers(archs[int(row)]) if not slot[0].startswith(last)]
            assert _layers(shallower[int(row)]) == rest
    assert not one_less_deep(archs, "S1")[1][archs.codes[:, space.index["S1.depth"]] == 0].any()


def _layers(arch: Arch) -> list[tuple[str, str, dict[str, int]]]:
    return [(s.name, s.kind, dict(s.sizes)) for s in arch.space.lower(arch) if s.active]


def test_depths_with_gaps_have_no_neighbour_one_less_deep(tmp_path: Path) -> None:
    path = tmp_path / "gaps.yaml"
    path.write_text(TEXT.replace("{min: 1, max: 6}", "[1, 2, 4]"))
    space = load_space(path)
    archs = space.sample(50, seed=0)
    assert one_less_deep(archs, "S")[1].tolist() == [arch["S.depth"] == 2 for arch in archs]


def test_a_depth_is_tried_whatever_the_blocks_that_go_with_it_were() -> None:
    space = load_space("efficientformer_v2")
    samples = space.sample(20, seed=0)
    _, origin, decision, value = _interventions(samples)
    mine = decision == space.index["S1.depth"]
    assert sorted(zip(origin[mine].tolist(), value[mine].tolist())) == [
        (i, v) for i in range(20) for v in range(5)
    ]
