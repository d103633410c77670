"""Counts of Once-for-all's MobileNetV3, as counted on the authors' code with subnets cut out of its supernets."""

from __future__ import annotations

import pytest

from nas.blocks.once_for_all import KERNELS
from nas.costs import cost
from nas.costs.counts import plan_for
from nas.space import Space, load_space
from nas.space.batch import Arch
from nas.supernet.network import build
from nas.supernet.supernet import Supernet

SPACES = {width: load_space(name) for width, name in ((1.0, "ofa_mobilenetv3"), (1.2, "ofa_mobilenetv3_w12"))}
ALIKE = {"largest": (7, 6, 4), "middle": (5, 4, 3), "smallest": (3, 3, 2)}
SIDES = (128, 160, 224)
PUBLISHED = {
    (1.0, "largest"): (7_664_760, (188_248_320, 291_318_048, 566_170_656)),
    (1.0, "middle"): (4_551_792, (84_099_584, 129_548_864, 250_746_944)),
    (1.0, "smallest"): (3_410_792, (41_476_224, 63_240_528, 121_278_672)),
    (1.2, "largest"): (10_701_632, (279_987_456, 433_563_888, 843_101_040)),
    (1.2, "middle"): (6_245_312, (128_931_840, 198_948_384, 385_659_168)),
    (1.2, "smallest"): (4_602_456, (65_536_896, 100_320_888, 193_078_200)),
}
SUPERNETS = {1.0: 7_678_880, 1.2: 10_715_752}
"""Parameters, kernel matrices included."""


def alike(space: Space, preset: str, side: int) -> Arch:
    return Arch(space, {**space.presets[preset].values, "resolution": side})


@pytest.mark.parametrize(("width", "preset"), PUBLISHED)
def test_deployed_subnets_count_as_the_authors_do(width: float, preset: str) -> None:
    """Their parameters are those before norms are folded: a factor and a shift each, where a bias is left."""
    space, (params, macs) = SPACES[width], PUBLISHED[width, preset]
    for side, expected in zip(SIDES, macs):
        arch = alike(space, preset, side)
        counted = cost(space, arch)
        norms = sum(
            weight.numel()
            for name, weight in build(space, arch, seed=None).named_parameters()
            if name.endswith("bn_weight")
        )
        assert (counted["macs"][0], counted["params"][0] + norms) == (expected, params)


@pytest.mark.parametrize("width", SUPERNETS)
def test_the_supernet_has_the_authors_parameters(width: float) -> None:
    supernet = Supernet(SPACES[width], seed=None)
    assert sum(weight.numel() for weight in supernet.parameters()) == SUPERNETS[width]


def test_what_is_trained_has_the_largest_kernel_and_the_matrices() -> None:
    space = SPACES[1.0]
    arch = space.presets["smallest"]
    blocks = [slot.sizes for slot in space.lower(arch) if slot.active and slot.kind == "ofa_bottleneck"]
    matrices = sum(small**4 for small in KERNELS[1:])
    larger = sum(int(sizes["hidden"]) * (7 * 7 - 3 * 3) + matrices for sizes in blocks)
    params, _ = PUBLISHED[1.0, "smallest"]
    assert cost(space, arch, "train")["params"][0] == params + larger


def test_a_batch_counts_as_its_archs_do() -> None:
    space = SPACES[1.0]
    batch = space.sample(30, seed=1)
    together = plan_for(space)(batch)
    for index, arch in enumerate(batch):
        alone = cost(space, arch)
        for name in ("macs", "params", "memory"):
            assert together[name][index] == alone[name][0]


def test_the_size_is_the_papers() -> None:
    """Nine choices for each of two, three or four blocks, in five stages, at each resolution (§3.2)."""
    assert SPACES[1.0].size() == (25 * sum(9**depth for depth in (2, 3, 4)) ** 5, True)
    assert SPACES[1.2].size() == (17 * sum(9**depth for depth in (2, 3, 4)) ** 5, True)


def test_published_networks_lie_inside() -> None:
    assert all(space.contains(arch) for space in SPACES.values() for arch in space.presets.values())
