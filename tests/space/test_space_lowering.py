"""Lowering of one arch and of a batch of archs give the same layers, converters between layouts included."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
import pytest
from space_samples import NETWORKS, small, written

from nas.space import Arch, Space, load_space

TOKENS = """
version: 1
name: tokens
input: {resolution: 16, classes: 4}
stages:
  first: {block: conv_norm, stride: 4, width: 8}
  A: {block: {values: [mb4d, mb3d, identity], per: block}, depth: 4, width: 8, heads: 2, qk_dim: 2}
  head: {block: dual_head}
"""


LARGE = ("efficientformer", "efficientformer_v2", "turbovit")


@pytest.mark.parametrize("space", [*map(small, NETWORKS), *map(load_space, LARGE)], ids=lambda s: s.name)
def test_one_arch_lowers_as_it_does_in_a_batch(space: Space) -> None:
    batch = space.sample(40, seed=3)
    together = space.lower(batch)
    for row, arch in enumerate(batch):
        found = [
            (s.name, s.kind, tuple((k, int(np.broadcast_to(v, 40)[row])) for k, v in s.sizes.items()))
            for s in together
            if np.broadcast_to(s.active, 40)[row]
        ]
        assert found == _layers(space, arch)


def test_the_layout_changes_only_where_neighbours_differ(tmp_path) -> None:  # type: ignore[no-untyped-def]
    space = written(tmp_path, TOKENS)
    blocks = ["mb4d", "mb3d", "mb3d", "mb4d"]
    arch = Arch(space, {f"A.block[{i}]": block for i, block in enumerate(blocks)})
    kinds = [kind for _, kind, _ in _layers(space, arch)]  # type: ignore[misc]
    assert kinds == [
        "conv_norm", "mb4d", "to_tokens", "mb3d", "mb3d", "to_map", "mb4d", "to_tokens", "dual_head"
    ]  # fmt: skip


def _layers(space: Space, arch: Arch) -> list[Hashable]:
    return [(s.name, s.kind, tuple(s.sizes.items())) for s in space.lower(arch) if s.active]
