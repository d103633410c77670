"""Exact counts of the published TinyViT models, and what their windows cost."""

from __future__ import annotations

import pytest

from nas.costs import cost
from nas.space import load_space

SPACE = load_space("tiny_vit")
# Parameters and MACs, counted on the published code; parameters with norms folded, where that was counted.
PUBLISHED = {
    "5M": (5_392_764, 1_255_174_720, None),
    "11M": (10_996_972, 2_016_046_144, None),
    "21M": (21_198_568, 4_250_329_536, None),
    "21M-384": (21_230_488, 13_697_865_216, 21_221_320),
    "21M-512": (21_268_120, 26_883_623_424, 21_258_952),
}


@pytest.mark.parametrize("preset", PUBLISHED)
def test_counts_equal_the_published_networks(preset: str) -> None:
    params, macs, folded = PUBLISHED[preset]
    arch = SPACE.presets[preset]
    trained, deployed = cost(SPACE, arch, "train"), cost(SPACE, arch)
    assert SPACE.contains(arch)
    assert (trained["params"][0], trained["macs"][0]) == (params, macs)
    assert deployed["macs"][0] == macs
    assert folded is None or deployed["params"][0] == folded


def test_a_batch_has_the_counts_of_each() -> None:
    batch = SPACE.sample(40, seed=0)
    for form in ("train", "deploy"):
        counted = cost(SPACE, batch, form)
        for index, arch in enumerate(batch):
            one = cost(SPACE, arch, form)
            assert all(one[key][0] == values[index] for key, values in counted.items())


def test_windows_are_as_many_on_every_map() -> None:
    for preset, windows in {"21M": (7, 14, 7), "21M-384": (12, 24, 12), "21M-512": (16, 32, 16)}.items():
        found = {s.stage: s.sizes for s in SPACE.lower(SPACE.presets[preset]) if s.kind == "window_attention"}
        assert tuple(sizes["window"] for sizes in found.values()) == windows
        assert all(sizes["h"] % sizes["window"] == 0 for sizes in found.values())


def test_half_as_many_windows_across_cost_what_pairs_of_pixels_do() -> None:
    """Of a stage's attention, q·k and weights·v alone depend on the windows: twice 28²·c MACs per pixel of a window."""
    known = SPACE.presets["5M"].values
    four, two = (cost(SPACE, SPACE.encode([{**known, "S2.across": n}]))["macs"][0] for n in (4, 2))
    assert two - four == 2 * (2 * 28**2 * 128) * (14**2 - 7**2)
