"""Responses to stimuli against their definitions, computed another way."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from nas.accuracy.probing import Listening, Probing, effective_rank, places_of, probe
from nas.blocks.ops import Ops
from nas.space import Arch, Space, load_space
from nas.supernet.network import Network
from nas.supernet.supernet import Supernet
from nas.supernet.thinned import Thinned

SPACES = ("turbovit", "elasticvit", "efficientformer")


@cache
def _space(name: str) -> Space:
    return load_space(name)


@cache
def _supernet(name: str) -> Supernet:
    """With weights that do something: branches of new networks start at zero."""
    scale = 64 / 224 if name == "turbovit" else 0.25
    net = Supernet(_space(name), 5, resolution_scale=scale, seed=0).eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter += torch.randn(parameter.shape, generator=generator) * 0.05
    return net


def _images(side: int = 64) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(2)
    return torch.randn(6, 3, side, side, generator=generator), torch.tensor([0, 1, 2, 3, 4, 0])


def _arch(name: str) -> Arch:
    return _space(name).sample(1, seed=4)[0]


def _network(name: str) -> tuple[Network, Tensor, Tensor]:
    network = _supernet(name).extract(_arch(name)).eval().requires_grad_(False)
    return network, *_images(network.resolution)


def test_leaving_the_last_block_out_is_the_supernet_without_it() -> None:
    network, images, labels = _network("turbovit")
    found = probe(network, images, labels)
    arch = _arch("turbovit")
    with torch.no_grad():
        whole = float(F.cross_entropy(_supernet("turbovit")(images, arch), labels))
        assert found["loss"] == pytest.approx(whole, rel=1e-4)
        stages = [stage for stage in ("S1", "S2", "S3", "S4") if f"{stage}.last" in found]
        assert stages == ["S3", "S4"]  # the last of S1 widens already, S2 is a single pool
        for stage in stages:
            place = f"{stage}.{int(arch[f'{stage}.depth']) - 1}"
            without = _supernet("turbovit")(images, Thinned(arch, frozenset([place])))
            change = float(F.cross_entropy(without, labels)) - whole
            assert abs(change) > 1e-3 and found[f"{stage}.last"] == pytest.approx(change, abs=2e-5)


def test_a_last_block_left_out_is_the_network_one_less_deep() -> None:
    """What the inquisitor takes it for."""
    arch, supernet = _arch("turbovit"), _supernet("turbovit")
    less = Arch(_space("turbovit"), {**arch.values, "S3.depth": int(arch["S3.depth"]) - 1})
    network, images, labels = _network("turbovit")
    with torch.no_grad():
        change = float(
            F.cross_entropy(supernet(images, less), labels) - F.cross_entropy(network(images), labels)
        )
    assert probe(network, images, labels)["S3.last"] == pytest.approx(change, abs=2e-5)


@pytest.mark.parametrize("name", SPACES)
def test_every_stage_that_has_blocks_responds(name: str) -> None:
    network, images, labels = _network(name)
    found = probe(network, images, labels)
    stages = {place.stage for place in places_of(network)}
    assert {key.rpartition(".")[0] for key in found if key != "loss"} == stages
    assert all(np.isfinite(value) for value in found.values())
    for key, value in found.items():
        if key.endswith((".rank", ".entropy")):
            assert 0 < value <= 1 + 1e-5, key
    attending = {"turbovit": 4, "elasticvit": 4, "efficientformer": 1}[name]
    assert sum(key.endswith(".entropy") for key in found) >= attending - 1


def test_saliency_is_the_slope_of_the_loss_along_a_block_s_share() -> None:
    """Central difference of the loss with the block's own share scaled by 1 ± ε, in float64."""
    network, images, labels = _network("turbovit")
    network, images = network.double(), images.double()
    depth = int(_arch("turbovit")["S4.depth"])
    slopes = []
    for position in range(depth):
        ends = [_scaled(network, images, labels, f"S4.{position}", 1 + e) for e in (1e-4, -1e-4)]
        slopes.append(abs(ends[0] - ends[1]) / 2e-4)
    found = probe(network, images, labels)["S4.saliency"]
    network.float()
    assert found == pytest.approx(float(np.mean(slopes)), rel=1e-3)


def _scaled(network: Network, x: Tensor, labels: Tensor, name: str, factor: float) -> float:
    with torch.no_grad():
        for place in places_of(network):
            before = x
            for index in range(place.first, place.last):
                x = network.layers[index](x, network.description[index].sizes, Ops())
            if place.name == name:
                x = before + factor * (x - before) if before.shape == x.shape else factor * x
    return float(F.cross_entropy(x, labels))


def test_effective_rank_is_that_of_the_singular_values() -> None:
    generator = torch.Generator().manual_seed(0)
    for shape, rank in (((300, 12), 12), ((20, 30), 20), ((200, 16), 3)):
        x = torch.randn(shape[0], rank, generator=generator) @ torch.randn(
            rank, shape[1], generator=generator
        )
        values = np.linalg.svd((x - x.mean(0)).double().numpy(), compute_uv=False)
        shares = values[values > 1e-6] / values[values > 1e-6].sum()
        expected = np.exp(-(shares * np.log(shares)).sum()) / min(shape)
        assert effective_rank(x) == pytest.approx(expected, rel=2e-2)
    line = torch.randn(100, 1, generator=generator) * torch.ones(1, 8)
    assert effective_rank(line) == pytest.approx(1 / 8, rel=1e-2)
    tokens = torch.randn(4, 25, 12, generator=generator)
    as_map = tokens.transpose(1, 2).unflatten(2, (5, 5))
    assert effective_rank(tokens) == pytest.approx(effective_rank(as_map), rel=1e-5)


def test_entropy_is_one_where_attention_looks_everywhere_and_none_where_it_looks_at_one() -> None:
    v = torch.zeros(2, 8, 4)
    for weights, expected in (
        (torch.full((2, 8, 8), 1 / 8), 1.0),
        (torch.eye(8).expand(2, 8, 8), 0.0),
        (torch.cat([torch.full((2, 8, 2), 0.5), torch.zeros(2, 8, 6)], 2), np.log(2) / np.log(8)),
    ):
        ops = Listening()
        ops.window_weigh(v, weights, 1, 1)
        assert ops.heard == [pytest.approx(expected, abs=1e-6)]
    ops = Listening()
    ops.weigh(v, torch.randn(2, 8, 8))
    assert ops.heard == []


def test_probing_the_supernet_changes_nothing_and_repeats_itself() -> None:
    net, images = _supernet("elasticvit"), _images()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    probing = Probing(net, lambda: iter([images]))
    first, second = probing(_arch("elasticvit")), probing(_arch("elasticvit"))
    assert first == second
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())


def test_values_that_are_not_finite_have_no_rank() -> None:
    x = torch.ones(4, 3)
    x[1, 1] = float("inf")
    assert np.isnan(effective_rank(x))
