"""Exact counts of MobileViTv2, as counted on timm's code."""

from __future__ import annotations

import numpy as np
import pytest

from nas.costs import cost
from nas.space import load_space

SPACE = load_space("mobilevitv2")
PUBLISHED = {
    "0.5": (1_370_593, 464_594_944),
    "0.75": (2_866_009, 1_027_980_288),
    "1.0": (4_901_841, 1_812_090_880),
    "1.25": (7_478_089, 2_816_926_720),
    "1.5": (10_594_753, 4_042_487_808),
    "1.75": (14_251_833, 5_488_774_144),
    "2.0": (18_449_329, 7_155_785_728),
    "0.5-384": (1_370_593, 1_045_018_624),
    "0.75-384": (2_866_009, 2_312_475_648),
    "1.0-384": (4_901_841, 4_076_564_480),
    "1.25-384": (7_478_089, 6_337_285_120),
    "1.5-384": (10_594_753, 9_094_637_568),
    "1.75-384": (14_251_833, 12_348_621_824),
    "2.0-384": (18_449_329, 16_099_237_888),
}


@pytest.mark.parametrize("preset", PUBLISHED)
def test_counts_equal_the_published_networks(preset: str) -> None:
    counted = cost(SPACE, SPACE.presets[preset], "train")
    assert (counted["params"][0], counted["macs"][0]) == PUBLISHED[preset]
    assert SPACE.contains(SPACE.presets[preset])


def test_a_batch_has_the_counts_of_each() -> None:
    batch = SPACE.sample(40, seed=3)
    for form in ("train", "deploy"):
        together = cost(SPACE, batch, form)
        for key in ("params", "macs", "memory"):
            alone = [cost(SPACE, arch, form)[key][0] for arch in batch]
            assert np.array_equal(together[key], alone), (key, form)


def test_separable_attention_costs_what_the_paper_says() -> None:
    """MACs grow with the pixels alone; those of softmax attention with their square as well."""
    values = SPACE.presets["1.0"].values
    softmax = {f"T{stage}.block": "patch_transformer" for stage in (3, 4, 5)}
    sides = [{**values, **kind, "resolution": side} for kind in ({}, softmax) for side in (192, 384)]
    small, large, small_softmax, large_softmax = cost(SPACE, SPACE.encode(sides))["macs"]
    classifier = values["S5.width"] * 1000
    assert large - classifier == 4 * (small - classifier)
    assert large_softmax - classifier > 4 * (small_softmax - classifier)
