"""Deployed networks: the same answers without batch norms, for every space."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from supernet_samples import shaken
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from nas.costs import cost
from nas.space import load_space
from nas.supernet.deploy import deployed
from nas.supernet.network import Network, build

SCALES = {"elasticvit": 0.125, "efficientformer": 0.125, "efficientformer_v2": 0.125, "turbovit": 64 / 224}


@pytest.mark.parametrize("name", SCALES)
def test_deployed_networks_answer_the_same(name: str) -> None:
    net = shaken(load_space(name), classes=10, scale=SCALES[name])
    generator = torch.Generator().manual_seed(0)
    for arch in net.space.sample(3, seed=5):
        network = net.extract(arch)
        side = network.resolution
        x = torch.randn(3, 3, side, side, generator=generator, dtype=torch.float64)
        with torch.no_grad():
            expected = network(x)
            assert (deployed(network)(x) - expected).abs().max() <= 1e-9
            assert expected.std(0).max() > 1e-3  # the images make a difference
            single = network.float()(x.float())
            assert (deployed(network)(x.float()) - single).abs().max() <= 1e-5 * single.abs().max()


@pytest.mark.parametrize(
    ("name", "preset"), [("elasticvit", "T1"), ("efficientformer", "L1"), ("efficientformer_v2", "S0")]
)
def test_a_deployed_network_has_no_statistics_and_no_more_work(name: str, preset: str) -> None:
    space = load_space(name)
    arch = space.presets[preset]
    network = build(space, arch, seed=None).eval()
    small = deployed(network)
    assert not list(small.buffers()) and not any(p.requires_grad for p in small.parameters())
    saved = 0 if name == "elasticvit" else 1000 * network.description[-1].sizes["channels"]
    costs = {key: int(values[0]) for key, values in cost(space, arch).items()}
    assert _macs(small) == costs["macs"] == cost(space, arch, "train")["macs"][0] - saved
    assert _count(small) == costs["params"] < costs["train_params"]


def test_parameters_of_deployed_l1() -> None:
    """By hand from the published widths and depths: every norm and scale gone but those of the pool mixers."""
    space = load_space("efficientformer")
    small = deployed(build(space, space.presets["L1"], seed=None))
    widths, depths = (48, 96, 224, 448), (3, 2, 6, 3)
    stem = 24 * (27 + 1) + 48 * (24 * 9 + 1)
    embeddings = sum(b * (9 * a + 1) for a, b in pairwise(widths))
    mb4d = sum(n * (8 * c * c + 4 * c + c + c) for n, c in zip(depths, widths))
    attention = 448 * 1536 + 1536 + 8 * 49 + 1024 * 448 + 448
    mb3d = attention + 8 * 448 * 448 + 5 * 448 + 2 * 2 * 448
    head = 2 * 448 + 1000 * (448 + 1)
    assert _count(small) == stem + embeddings + mb4d + mb3d + head


def test_the_network_itself_is_left_as_it_is() -> None:
    space = load_space("efficientformer_v2")
    network = build(space, space.presets["S0"])
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with torch.no_grad():
        for parameter in deployed(network).parameters():
            parameter.fill_(float("nan"))
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


def _count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _macs(network: Network) -> int:
    with FlopCounterMode(display=False) as counter:
        network(torch.empty(1, 3, network.resolution, network.resolution, device="meta"))
    return counter.get_total_flops() // 2
