"""Exact counts of MIT's EfficientViT, as counted on the published code, classifier included."""

from __future__ import annotations

import numpy as np
import pytest

from nas.blocks.counting import macs, params
from nas.costs import cost
from nas.space import load_space
from nas.space.symbolic import symbolic

SPACES = {name: load_space(name) for name in ("efficientvit_b", "efficientvit_l")}
PUBLISHED = {
    ("efficientvit_b", "B0"): (3_410_008, 100_233_216),
    ("efficientvit_b", "B1"): (9_102_024, 519_214_592),
    ("efficientvit_b", "B2"): (24_330_712, 1_584_937_984),
    ("efficientvit_b", "B3"): (48_646_056, 3_953_822_208),
    ("efficientvit_l", "L1"): (52_654_088, 5_258_479_616),
    ("efficientvit_l", "L2"): (63_707_016, 6_949_862_400),
    ("efficientvit_l", "L3"): (246_037_288, 27_586_525_184),
}
BACKBONES = {
    ("efficientvit_b", "B0"): (682_608, 91_219_968),
    ("efficientvit_b", "B1"): (4_643_936, 495_889_408),
    ("efficientvit_b", "B2"): (14_977_008, 1_533_127_680),
    ("efficientvit_b", "B3"): (38_997_440, 3_887_561_216),
    ("efficientvit_l", "L0"): (27_805_472, 4_504_600_576),
    ("efficientvit_l", "L1"): (38_037_280, 5_168_378_880),
    ("efficientvit_l", "L2"): (49_090_208, 6_859_761_664),
    ("efficientvit_l", "L3"): (193_998_144, 27_232_522_240),
}
ROUNDED = {
    "efficientvit_b": {"B1": (0.52, 0.68, 0.86), "B2": (1.6, 2.1, 2.6), "B3": (4.0, 5.2, 6.5)},
    "efficientvit_l": {"L2": (6.9, 9.1, 11, 14, 20), "L3": (28, 36, 46, 56, 81)},
}
SIDES = (224, 256, 288, 320, 384)
"""GMACs at these sides, as the authors' table rounds them."""


@pytest.mark.parametrize(("name", "preset"), PUBLISHED)
def test_counts_equal_the_published_networks(name: str, preset: str) -> None:
    counted = cost(SPACES[name], SPACES[name].presets[preset], "train")
    assert (counted["params"][0], counted["macs"][0]) == PUBLISHED[name, preset]


@pytest.mark.parametrize(("name", "preset"), BACKBONES)
def test_counts_without_the_classifier_equal_the_published_backbones(name: str, preset: str) -> None:
    """L0 is published as a backbone alone."""
    slots = SPACES[name].lower(SPACES[name].presets[preset])
    body = [slot for slot in slots if slot.active and slot.stage != "head"]
    counted = [sum(count(slot.unit, slot.sizes, "train") for slot in body) for count in (params, macs)]
    assert tuple(counted) == BACKBONES[name, preset]


@pytest.mark.parametrize("name", SPACES)
def test_counts_at_other_resolutions_round_to_the_published(name: str) -> None:
    for preset, published in ROUNDED[name].items():
        for side, expected in zip(SIDES, published):
            arch = SPACES[name].presets[preset if side == SIDES[0] else f"{preset}-{side}"]
            counted = cost(SPACES[name], arch, "train")["macs"][0] / 1e9
            digits = 2 if expected < 1 else 1 if expected < 10 else 0
            assert round(counted, digits) == expected, (preset, side)


@pytest.mark.parametrize("name", SPACES)
def test_a_batch_has_the_counts_of_each(name: str) -> None:
    space = SPACES[name]
    batch = space.sample(40, seed=3)
    for form in ("train", "deploy"):
        together = cost(space, batch, form)
        for key in ("params", "macs", "memory"):
            alone = [cost(space, arch, form)[key][0] for arch in batch]
            assert np.array_equal(together[key], alone), (key, form)


@pytest.mark.parametrize("name", SPACES)
def test_every_published_network_lies_inside_but_l3(name: str) -> None:
    """L3, of twice the widths, is beside its space: a supernet around it has 360 million weights."""
    outside = [preset for preset, arch in SPACES[name].presets.items() if not SPACES[name].contains(arch)]
    assert outside == [preset for preset in SPACES[name].presets if preset.startswith("L3")]


def test_what_blocks_of_a_choice_hand_on_alike_depends_on_no_choice() -> None:
    """Both halve the map and have the stage's width, whichever is chosen and how often."""
    space = SPACES["efficientvit_b"]
    names = [decision.name for decision in space.decisions]
    slots = symbolic(space)
    read = {slot.name: {names[d] for d in deps} for slot, deps in zip(slots.slots, slots.dependent)}
    assert read["S2.0.inverted_bottleneck"] == {
        "resolution", "stem.act", "S1.width", "S2.width", "S2.expansion"
    }  # fmt: skip
