"""Exact counts of the published networks, at the two resolutions of each (counted on timm's code)."""

from __future__ import annotations

from math import prod

import pytest

from nas.costs import cost
from nas.costs.counts import plan_for
from nas.space import load_space
from nas.space.batch import Arch
from nas.supernet.network import build

SPACE = load_space("efficientnetv2")
PARAMS = {
    "B0": 7_139_704,
    "B1": 8_141_052,
    "B2": 10_096_086,
    "B3": 14_358_406,
    "S": 21_458_488,
    "M": 54_139_356,
    "L": 118_515_272,
    "XL": 208_119_808,
}
MACS = {
    ("B0", 192): 528_186_752,
    ("B0", 224): 718_086_176,
    ("B1", 192): 747_003_008,
    ("B1", 240): 1_196_819_360,
    ("B2", 208): 1_043_476_528,
    ("B2", 260): 1_697_542_832,
    ("B3", 240): 1_908_036_640,
    ("B3", 300): 3_011_458_816,
    ("S", 300): 5_307_561_248,
    ("S", 384): 8_365_617_152,
    ("M", 384): 15_736_775_680,
    ("M", 480): 24_582_460_384,
    ("L", 384): 35_899_418_624,
    ("L", 480): 56_079_699_008,
    ("XL", 384): 52_529_254_400,
    ("XL", 512): 93_353_451_520,
}


@pytest.mark.parametrize(("preset", "side"), MACS)
def test_counts_equal_the_published_networks(preset: str, side: int) -> None:
    arch = Arch(SPACE, {**SPACE.presets[preset].values, "resolution": side})
    counted = cost(SPACE, arch, "train")
    assert (counted["macs"][0], counted["params"][0]) == (MACS[preset, side], PARAMS[preset])


def test_norms_are_gone_from_what_is_deployed() -> None:
    """Per norm a factor and a shift, per convolution with one a bias."""
    arch = SPACE.presets["S"]
    trained, deployed = (cost(SPACE, arch, form)["params"][0] for form in ("train", "deploy"))
    norms = [
        weight.numel()
        for name, weight in build(SPACE, arch, seed=None).named_parameters()
        if name.endswith("bn_weight")
    ]
    assert trained - deployed == sum(norms)


def test_a_batch_counts_as_its_archs_do() -> None:
    batch = SPACE.sample(40, seed=1)
    together = plan_for(SPACE)(batch)
    for index, arch in enumerate(batch):
        alone = cost(SPACE, arch)
        for name in ("macs", "params", "memory"):
            assert together[name][index] == alone[name][0]


def test_the_size_is_the_product_that_the_file_says() -> None:
    """Per stage: widths, kernels, expansions and gates; numbers of blocks behind the first, and their kinds."""
    early = (2 * 2 * 3) * (1 + 2 * 2), (4 * 2 * 2) * (1 + 4 * 2), (4 * 2 * 2) * (1 + 4 * 2)
    late = (8 * 2 * 2 * 2) * (7 * 2), (9 * 2 * 2 * 2) * 9, (13 * 2 * 2 * 2) * 14, 1 + 2 * (2 * 2 * 2 * 2)
    assert SPACE.size() == (8 * 3 * 3 * prod(early) * prod(late), True)


def test_what_lies_inside() -> None:
    inside = {preset for preset, arch in SPACE.presets.items() if SPACE.contains(arch)}
    assert set(PARAMS) - inside == {"M", "L", "XL"}
