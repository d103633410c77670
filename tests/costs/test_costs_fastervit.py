"""Exact counts of FasterViT (counted on the published code), as it is trained."""

from __future__ import annotations

import pytest

from nas.costs import cost
from nas.space import Space, load_space

SMALL = {
    "FasterViT-0": (3_492_325_376, 31_404_840),
    "FasterViT-1": (5_503_054_336, 53_366_696),
    "FasterViT-2": (8_974_767_104, 75_923_816),
}
LARGE = {
    "FasterViT-3": (18_707_990_528, 159_547_944),
    "FasterViT-4": (43_228_364_928, 365_555_712),
    "FasterViT-5": (113_967_587_328, 957_520_552),
    "FasterViT-6": (143_993_693_184, 1_360_328_872),
    "FasterViT-4-21k-224": (41_590_384_704, 271_944_224),
    "FasterViT-4-21k-384": (126_564_897_024, 271_944_224),
    "FasterViT-4-21k-512": (234_090_918_144, 271_944_224),
    "FasterViT-4-21k-768": (585_097_933_056, 271_944_224),
}
README = {"FasterViT-0": 3.3, "FasterViT-1": 5.3, "FasterViT-2": 8.7}  # GFLOPs, as published


@pytest.fixture(scope="module")
def spaces() -> dict[str, Space]:
    return {name: load_space(name) for name in ("fastervit", "fastervit_large", "fastervit_any")}


@pytest.mark.parametrize("preset", SMALL | LARGE)
def test_counts_equal_the_published_networks(preset: str, spaces: dict[str, Space]) -> None:
    space = spaces["fastervit" if preset in SMALL else "fastervit_large"]
    counted = cost(space, space.presets[preset], "train")
    assert (counted["macs"][0], counted["params"][0]) == (SMALL | LARGE)[preset]


@pytest.mark.parametrize("preset", README)
def test_the_readme_counts_networks_whose_tables_are_made(preset: str, spaces: dict[str, Space]) -> None:
    """Its figures are those of the deployed form, in which no network of offsets runs."""
    space = spaces["fastervit"]
    assert cost(space, space.presets[preset])["macs"][0] == pytest.approx(README[preset] * 1e9, rel=0.02)


def test_windows_of_any_shape_are_padded(spaces: dict[str, Space]) -> None:
    """36×60 pixels are 6×9 windows of 7, so that there are 12×18 carriers before the pixels."""
    space = spaces["fastervit_any"]
    arch = space.presets["FasterViT-0-any"]
    block = next(slot for slot in space.lower(arch) if slot.kind == "windowed_attention")
    assert (block.sizes["h"], block.sizes["w"], block.sizes["prefix"]) == (36, 60, 12 * 18)
    square = spaces["fastervit"]
    assert cost(space, arch)["params"][0] > cost(square, square.presets["FasterViT-0"])["params"][0]


def test_a_batch_has_the_counts_of_each(spaces: dict[str, Space]) -> None:
    batch = spaces["fastervit"].sample(25, seed=0)
    together = cost(spaces["fastervit"], batch)
    for index in range(len(batch)):
        single = cost(spaces["fastervit"], batch[index])
        assert all(single[name][0] == values[index] for name, values in together.items())
