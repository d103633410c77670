"""Exact counts of the published Hiera models, and what follows for a network inside TurboViT's bounds."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from nas.costs import cost
from nas.search.objective import parse_constraint
from nas.space import load_space
from nas.supernet.network import build

SPACE = load_space("turbovit")
PUBLISHED = {
    "Hiera-T": (27_910_216, 4_900_830_720),
    "Hiera-S": (35_008_072, 6_406_110_720),
    "Hiera-B": (51_524_968, 9_375_200_256),
    "Hiera-B+": (69_896_616, 12_640_506_368),
    "Hiera-L": (213_739_912, 40_271_042_304),
    "Hiera-H": (672_779_752, 124_732_960_768),
}


@pytest.mark.parametrize("preset", PUBLISHED)
def test_counts_equal_the_published_networks(preset: str) -> None:
    counted = cost(SPACE, SPACE.presets[preset])
    assert (counted["params"][0], counted["macs"][0]) == PUBLISHED[preset]


@pytest.mark.parametrize("preset", PUBLISHED)
def test_the_presets_are_built_outside_the_space_and_equal_pytorchs_count(preset: str) -> None:
    arch = SPACE.presets[preset]
    assert "outside the space" in SPACE.why_outside(arch)
    model = build(SPACE, arch, seed=None).eval()
    with FlopCounterMode(display=False) as counter:
        model(torch.empty(1, 3, 224, 224, device="meta"))
    counted = (sum(p.numel() for p in model.parameters()), counter.get_total_flops() // 2)
    assert counted == PUBLISHED[preset]


@pytest.mark.parametrize(
    ("width", "depths", "params_m", "macs_g"),
    [(40, (1, 3, 22, 4), 12.3, 2.20), (48, (3, 4, 10, 4), 12.4, 2.17), (64, (1, 2, 6, 2), 11.9, 2.07)],
)
def test_networks_of_a_coarse_scan_meet_the_bounds(
    width: int, depths: tuple[int, ...], params_m: float, macs_g: float
) -> None:
    """Hiera's rules at smaller sizes, counted to three digits by a formula of their own."""
    values = {**SPACE.presets["Hiera-T"].values, "S1.width": width}
    values |= {f"S{i + 1}.depth": depth for i, depth in enumerate(depths)}
    counted = cost(SPACE, SPACE.encode([values]))
    assert round(counted["params"][0] / 1e6, 1) == params_m
    assert round(counted["macs"][0] / 1e9, 2) == macs_g
    for text in SPACE.requirements["turbovit"]:
        constraint = parse_constraint(text)
        assert constraint.violation(counted[constraint.metric])[0] == 0
