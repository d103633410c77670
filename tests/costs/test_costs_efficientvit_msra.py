"""Exact counts of Microsoft's EfficientViT (counted on the published code and by timm), trained and deployed."""

from __future__ import annotations

import numpy as np
import pytest

from nas.costs import cost
from nas.space import Space, load_space

PUBLISHED = {  # MACs, parameters trained, parameters with the norms folded
    "M0": (79_193_600, 2_349_436, 2_334_916),
    "M1": (167_051_840, 2_980_560, 2_964_256),
    "M2": (201_035_712, 4_187_554, 4_168_338),
    "M3": (262_662_208, 6_900_722, 6_875_890),
    "M4": (299_308_544, 8_804_228, 8_776_340),
    "M5": (521_583_104, 12_473_772, 12_436_260),
}


@pytest.fixture(scope="module")
def space() -> Space:
    return load_space("efficientvit_msra")


@pytest.mark.parametrize("preset", PUBLISHED)
def test_counts_equal_the_published_networks(preset: str, space: Space) -> None:
    macs, trained, folded = PUBLISHED[preset]
    arch = space.presets[preset]
    assert [cost(space, arch, "train")[name][0] for name in ("macs", "params")] == [macs, trained]
    assert [cost(space, arch)[name][0] for name in ("macs", "params", "train_params")] == [
        macs,
        folded,
        trained,
    ]


def test_a_batch_has_the_counts_of_each(space: Space) -> None:
    batch = space.sample(60, seed=0)
    together = cost(space, batch)
    for index in range(len(batch)):
        assert all(cost(space, batch[index])[name][0] == values[index] for name, values in together.items())


def test_a_kernel_for_each_head_counts_as_itself(space: Space) -> None:
    """One more ring of taps around a 5×5 kernel of 16 channels, at 14×14 pixels in each of the 1, 2 or 3 blocks."""
    arch = space.presets["M0"]
    larger = space.encode([{**arch.values, "S1.kernels[2]": 7}])[0]
    before, after = cost(space, arch), cost(space, larger)
    assert after["macs"][0] - before["macs"][0] == 16 * (49 - 25) * 14 * 14
    assert after["params"][0] - before["params"][0] == 16 * (49 - 25)
    assert np.all(after["memory"] == before["memory"])
