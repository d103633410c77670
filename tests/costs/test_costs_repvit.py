"""Exact counts of the published RepViT models: as trained, with one classifier and with two, and as deployed."""

from __future__ import annotations

import pytest

from nas.costs import cost
from nas.space import load_space

SPACES = {name: load_space(name) for name in ("repvit", "repvit_legacy")}
# Parameters trained with both classifiers, with one, and deployed; MACs of the same; counted on the published code.
PUBLISHED = {
    ("repvit", "M0.6"): (2_808_932, 2_487_292, 2_468_072, 386_059_360, 385_739_360, 385_065_120),
    ("repvit", "M0.9"): (5_489_328, 5_103_560, 5_067_056, 817_280_832, 816_896_832, 815_617_344),
    ("repvit", "M1.0"): (7_302_796, 6_852_900, 6_810_312, 1_108_077_600, 1_107_629_600, 1_106_136_864),
    ("repvit", "M1.1"): (8_802_912, 8_288_888, 8_244_312, 1_339_242_240, 1_338_730_240, 1_337_124_608),
    ("repvit", "M1.5"): (14_644_432, 14_130_408, 14_049_992, 2_276_968_192, 2_276_456_192, 2_273_596_160),
    ("repvit", "M2.3"): (23_688_792, 23_046_512, 22_926_792, 4_521_490_880, 4_520_850_880, 4_515_958_720),
    ("repvit_legacy", "M1"): (5_485_248, 5_099_480, 5_067_056, 817_280_832, None, 815_617_344),
    ("repvit_legacy", "M2"): (8_797_984, 8_283_960, 8_244_312, 1_339_242_240, None, 1_337_124_608),
    ("repvit_legacy", "M3"): (10_682_832, 10_168_808, 10_115_720, 1_862_184_704, None, 1_859_163_904),
}


@pytest.mark.parametrize(("name", "preset"), PUBLISHED)
def test_counts_equal_the_published_networks(name: str, preset: str) -> None:
    params, params_one, params_deployed, macs, macs_one, macs_deployed = PUBLISHED[name, preset]
    space, arch = SPACES[name], SPACES[name].presets[preset]
    assert space.contains(arch)
    trained, deployed = cost(space, arch, "train"), cost(space, arch)
    assert (trained["params"][0], trained["macs"][0]) == (params, macs)
    assert (deployed["params"][0], deployed["macs"][0]) == (params_deployed, macs_deployed)
    one = space.encode([{**arch.values, "head.distilled": 0}])
    assert cost(space, one)["params"][0] == params_deployed
    trained = cost(space, one, "train")
    assert trained["params"][0] == params_one
    assert macs_one is None or trained["macs"][0] == macs_one


def test_depths_of_m0_6_are_told_by_its_counts() -> None:
    """They are not published; within the space no others give both numbers."""
    space = SPACES["repvit"]
    known = space.presets["M0.6"].values
    depths = [space.decisions[space.index[f"S{stage}.depth"]].values for stage in range(1, 5)]
    archs = [
        {**known, "S1.depth": a, "S2.depth": b, "S3.depth": c, "S4.depth": d}
        for a in depths[0] for b in depths[1] for c in depths[2] for d in depths[3]
    ]  # fmt: skip
    counted = cost(space, space.encode(archs))
    same = (counted["params"] == 2_468_072) & (counted["macs"] == 385_065_120)
    assert [archs[index] for index in same.nonzero()[0]] == [known]


@pytest.mark.parametrize("name", SPACES)
def test_a_batch_has_the_counts_of_each(name: str) -> None:
    batch = SPACES[name].sample(40, seed=0)
    for form in ("train", "deploy"):
        counted = cost(SPACES[name], batch, form)
        for index, arch in enumerate(batch):
            one = cost(SPACES[name], arch, form)
            assert all(one[key][0] == values[index] for key, values in counted.items())


def test_what_is_priced_is_one_convolution_for_each_mixer() -> None:
    """The legacy models and those that came later cost the same, for they are deployed as the same convolutions."""
    values = {"resolution": 192, "gates": "alternate", "stem1.act": "relu", "head.distilled": 0}
    for stage, (depth, width) in enumerate([(2, 48), (1, 112), (8, 192), (2, 448)], 1):
        values |= {f"S{stage}.depth": depth, f"S{stage}.width": width, f"S{stage}.mlp_ratio": 3}
    values |= {f"S{stage}.kernel": 3 + 2 * (stage % 2) for stage in range(1, 5)}
    values |= {f"S{stage}.downsample.block": "repvit_downsample" for stage in range(2, 4)}
    values |= {"S4.downsample.block": "separable"}
    counted = {name: cost(SPACES[name], SPACES[name].encode([values])) for name in SPACES}
    for key in ("macs", "params", "memory"):
        assert counted["repvit"][key][0] == counted["repvit_legacy"][key][0]
