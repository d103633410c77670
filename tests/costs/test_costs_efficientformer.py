"""Exact counts of the published networks (counted on the published code, both classifiers included)."""

from __future__ import annotations

import pytest

from nas.costs import cost
from nas.space import Space, load_space

SPACES = {name: load_space(name) for name in ("efficientformer", "efficientformer_v2")}
PUBLISHED = {
    ("efficientformer", "L1"): (1_291_284_736, 12_289_928),
    ("efficientformer", "L3"): (3_906_573_312, 31_406_000),
    ("efficientformer", "L7"): (10_119_325_696, 82_229_328),
    ("efficientformer_v2", "S0"): (395_892_544, 3_600_256),
    ("efficientformer_v2", "S1"): (651_969_640, 6_185_560),
    ("efficientformer_v2", "S2"): (1_246_863_952, 12_710_112),
    ("efficientformer_v2", "L"): (2_552_546_880, 26_322_288),
}


@pytest.mark.parametrize(("name", "preset"), PUBLISHED)
def test_counts_equal_the_published_networks(name: str, preset: str) -> None:
    counted = cost(SPACES[name], SPACES[name].presets[preset], "train")
    assert (counted["macs"][0], counted["params"][0]) == PUBLISHED[name, preset]


def test_the_size_of_v1_is_a_product_that_can_be_counted_by_hand() -> None:
    """Widths times operators: attention in stage 3 leaves none but attention to stage 4."""
    early, widths = 6 * 6, 3 * 5 * 13 * 17
    ends_on_maps = 18 * sum(depth + 1 for depth in range(1, 9))
    ends_on_tokens = sum(range(1, 19)) * 8
    assert SPACES["efficientformer"].size() == (early * widths * (ends_on_maps + ends_on_tokens), True)


def test_attention_is_a_suffix() -> None:
    space: Space = SPACES["efficientformer"]
    for arch in space.sample(300, seed=0):
        kinds = [s.kind for s in space.lower(arch) if s.active and s.kind in ("mb4d", "mb3d")]
        assert kinds == sorted(kinds, reverse=True)


def test_the_size_of_v2_is_a_product_that_can_be_counted_by_hand() -> None:
    """Per stage: widths, and three expansions for each block of each depth; counts of attention up to the depth."""
    early = 3 * 6 * sum(3**depth for depth in range(1, 6)) ** 2
    late = [sum(3**depth * (min(depth, 6) + 1) for depth in range(2, deepest + 1)) for deepest in (15, 10)]
    assert SPACES["efficientformer_v2"].size() == (early * 15 * late[0] * 29 * late[1], True)


def test_what_lies_inside() -> None:
    inside = {
        (name, preset)
        for name, space in SPACES.items()
        for preset, arch in space.presets.items()
        if space.contains(arch)
    }
    assert set(PUBLISHED) - inside == {("efficientformer", "L7")}
