"""Networks of mask units and Q-pools against the same networks on maps with explicit windows; their training."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from naive_hiera import attention, feed_forward
from supernet_samples import SETTINGS, Images, shaken
from torch import Tensor

from nas.space import Arch, Space, load_space
from nas.supernet.checkpoint import Checkpointer
from nas.supernet.dense import features
from nas.supernet.network import Network, build
from nas.supernet.sampling.base import SubnetSampler
from nas.supernet.sampling.complexity import BankSettings, ComplexitySampler
from nas.supernet.sampling.levels import levels_of
from nas.supernet.sampling.simple import SandwichSampler, UniformSampler
from nas.supernet.supernet import Supernet
from nas.supernet.trainer import Trainer

POOLS = Path(__file__).parents[1] / "space" / "spaces" / "pools.yaml"
EMBEDDED = 64 / 224


def naive(network: Network, arch: Arch, x: Tensor) -> tuple[list[Tensor], Tensor]:
    """The last map of each stage and the class scores; window sides follow from the arch, not from the layers."""
    maps: dict[str, Tensor] = {}
    unit = int(arch["unroll.mask_unit"])
    for layer, module in zip(network.description, network.layers, strict=True):
        p, stage = dict(module.state_dict()), layer.name.split(".")[0]
        stride = layer.sizes.get("stride", 1)
        if layer.unit.kind == "patch_embed":
            padding = layer.sizes["kernel"] // 2
            x = F.conv2d(x, p["conv_weight"], p["conv_bias"], stride, padding) + p["position"]
        elif layer.unit.kind == "unit_attention":
            at = stage if stride == 1 else f"S{int(stage[1]) - 1}"
            within = arch.values.get(f"{at}.scope", "mask_unit") == "mask_unit"
            x = attention(x, p, layer.sizes["heads"], stride, unit if within else 0)
            unit //= stride
        elif layer.unit.kind == "unit_ffn":
            x = maps[stage] = feed_forward(x, p)
        elif layer.unit.kind == "mean_head":
            pooled = F.layer_norm(x.mean((2, 3)), x.shape[1:2], p["norm_weight"], p["norm_bias"], 1e-6)
            return list(maps.values()), F.linear(pooled, p["classes_weight"], p["classes_bias"])
    raise AssertionError("no head")


def assert_equal(network: Network, arch: Arch, images: int = 2) -> None:
    side = network.resolution
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(images, 3, side, side, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        maps, scores = naive(network, arch, x)
        found = features(network, x)
        torch.testing.assert_close(network(x), scores, rtol=1e-9, atol=1e-9)
        assert images == 1 or scores.std(0).max() > 1e-4  # the images make a difference
        assert [tuple(m.shape) for m in found] == [tuple(m.shape) for m in maps]
        for ours, theirs in zip(found, maps, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


def cut(folder: Path) -> Space:
    """TurboViT's space with fewer widths and depths, all its other choices whole."""
    text = (Path(__file__).parents[2] / "spaces" / "turbovit.yaml").read_text()
    text = (
        text[: text.index("# Levels up to")]
        + text[text.index("# The abstract's bounds") : text.index("presets:")]
    )
    for written, fewer in (
        ("{min: 32, max: 80, step: 8}", "[32, 40]"),
        ("{min: 1, max: 24}", "{min: 1, max: 3}"),
        ("{min: 1, max: 6}", "[1, 2]"),
    ):
        assert written in text
        text = text.replace(written, fewer)
    path = folder / "cut.yaml"
    path.write_text(text)
    return load_space(path)


def trained(network: Network) -> Network:
    """The network with every weight moved away from its start, where residual branches add nothing."""
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for tensor in network.state_dict().values():
            tensor.add_(0.1 * torch.randn(tensor.shape, generator=generator, dtype=torch.float64))
    return network


def test_every_stage_of_extracted_subnets_equals_plain_windows(tmp_path: Path) -> None:
    net = shaken(cut(tmp_path), classes=10, scale=EMBEDDED)
    batch = net.space.sample(200, seed=3)
    chosen: dict[tuple[object, ...], Arch] = {}
    for arch in batch:  # each mask unit with each place of a width step and each scope
        for name in (
            "unroll.mask_unit",
            "widen_S2",
            "widen_S3",
            "widen_S4",
            "S2.scope",
            "S3.scope",
            "condense",
        ):
            if arch["S4.depth"] > 1:
                chosen.setdefault((name, arch[name], arch["unroll.mask_unit"]), arch)
    assert len(chosen) > 25
    for arch in set(chosen.values()):
        network = net.extract(arch)
        x = torch.randn(1, 3, 64, 64, dtype=torch.float64)
        with torch.no_grad():
            assert (net(x, arch) - network(x)).abs().max() <= 1e-9
        assert_equal(network, arch)


def test_maps_are_what_detection_expects_at_the_deployment_resolution() -> None:
    space = load_space("turbovit")
    arch = space.encode([{**space.presets["min-900"].values, "unroll.mask_unit": 4, "S3.depth": 2}])[0]
    network = build(space, arch, num_classes=5).double().eval()
    assert_equal(trained(network), arch, images=1)
    sides = [tuple(m.shape[1:]) for m in features(network.float(), torch.zeros(1, 3, 224, 224))]
    assert sides == [(40, 56, 56), (80, 28, 28), (160, 14, 14), (320, 7, 7)]


def test_a_published_network_equals_plain_windows() -> None:
    space = load_space("turbovit")
    arch = space.presets["Hiera-T"]
    assert_equal(trained(build(space, arch, num_classes=10, scale=EMBEDDED).double().eval()), arch)


def test_maps_of_a_network_without_unrolled_tokens() -> None:
    space = load_space("elasticvit")
    arch = space.presets["T1"]
    with torch.no_grad():
        found = features(build(space, arch).eval(), torch.zeros(1, 3, 128, 128))
    widths = [arch[f"{stage}.width"] for stage in ("first", "C1", "C2", "T2", "T3", "T4")]
    sides = [64, 32, 16, 8, 4, 2]
    assert [tuple(m.shape[1:]) for m in found] == [(c, side, side) for c, side in zip(widths, sides)]


def sampler(name: str, space: Space) -> SubnetSampler:
    rng = np.random.default_rng(1)
    if name == "uniform":
        return UniformSampler(space, 3, rng)
    if name == "sandwich":
        return SandwichSampler(space, 3, rng)
    banks = BankSettings(4, 2, refreshes=2, partial_refreshes=4) if name == "performance" else None
    return ComplexitySampler(space, levels_of(space), 3, rng, banks=banks)


@pytest.mark.parametrize("name", ["uniform", "sandwich", "complexity", "performance"])
def test_every_sampler_trains_the_space_with_the_one_trainer(name: str, tmp_path: Path) -> None:
    space = load_space(POOLS)
    settings = SETTINGS.model_copy(update={"steps": 16, "lr": 2e-3, "mix": 0.0, "label_smoothing": 0.0})
    trainer = Trainer(
        Supernet(space, 4, resolution_scale=0.5), Images(), settings, sampler(name, space), seed=3,
        folder=Checkpointer(tmp_path),
    )  # fmt: skip
    before = {key: tensor.clone() for key, tensor in trainer.supernet.state_dict().items()}
    losses = [report.loss for report in trainer.steps()]
    assert np.mean(losses[-4:]) < min(np.mean(losses[:4]), math.log(4))
    moved = {
        key.split(".")[1]
        for key, t in trainer.supernet.state_dict().items()
        if not torch.equal(t, before[key])
    }
    assert moved >= {"embed_0_patch_embed", "S1_0_unit_attention", "S3_0_unit_ffn", "head_0_mean_head"}
