"""A whole small FasterViT, from the stem to the classifier, equals its description in float64."""

from __future__ import annotations

from pathlib import Path

import naive_fastervit as naive
import torch
import torch.nn.functional as F
from torch import Tensor

from nas.space import load_space
from nas.supernet.network import build

SPACE = """
version: 1
name: tiny
input: {resolution: 96, channels: 3, classes: 5}
stages:
  stem1: {block: conv_bn, stride: 2, width: 4, act: relu, eps: 4}
  stem2: {block: conv_bn, stride: 2, width: 6, act: relu, eps: 4}
  S1: {block: residual_conv, depth: [2, 3], width: 6, act: gelu, bias: 1}
  S2: {block: residual_conv, stride: 2, downsample: {block: norm_conv}, width: 12, act: gelu, bias: 1, scale: 1}
  to3: {block: norm_conv, stride: 2, width: 24}
  carriers3: {block: carrier_tokens, window: 4, carriers: 2}
  S3: {block: hierarchical_attention, depth: 2, heads: 3, mlp_ratio: 2, scale: 1}
  end3: {block: end_carriers}
  to4: {block: norm_conv, stride: 2, width: 48}
  carriers4: {block: carrier_tokens, window: 2, carriers: 1}
  S4: {block: hierarchical_attention, heads: 3, mlp_ratio: 2}
  end4: {block: end_carriers}
  head: {block: classifier, norm: batch_norm}
"""
HEADS = 3


def test_a_whole_network_equals_its_description(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(SPACE)
    space = load_space(tmp_path / "tiny.yaml")
    network = build(space, space.sample(1, seed=0)[0], seed=0).double().eval()
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            noise = torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
            if name.endswith("_var"):
                tensor.copy_(0.5 + noise.abs())
            elif name.endswith(("norm_weight", "bn_weight", "_scale")):
                tensor.copy_(1 + 0.3 * noise)
            else:
                tensor.copy_(0.3 * noise)
        images = torch.randn(2, 3, 96, 96, generator=generator, dtype=torch.float64)
        kinds = [layer.unit.kind for layer in network.description]
        sizes = [layer.sizes for layer in network.description]
        parts = [layer.state_dict() for layer in network.layers]
        assert [s["scale"] for kind, s in zip(kinds, sizes) if kind == "residual_conv"][-2:] == [0, 1]
        for image, answer in zip(images, network(images)):
            x: Tensor | naive.State = image
            for kind, s, p in zip(kinds, sizes, parts):
                x = restated(kind, x, s, p)
            torch.testing.assert_close(answer, x, rtol=1e-9, atol=1e-9)


def restated(
    kind: str, x: Tensor | naive.State, s: dict[str, int], p: dict[str, Tensor]
) -> Tensor | naive.State:
    """What one layer makes of one image."""
    if isinstance(x, naive.State):
        if kind == "carrier_attention":
            return naive.among_carriers(x, p, HEADS)
        return naive.in_windows(x, p, HEADS) if kind == "windowed_attention" else x.pixels
    if kind == "carrier_tokens":
        return naive.begin(x, p, s["window"], s["carriers"])
    if kind == "conv_bn":
        return normed(F.conv2d(x[None], p["conv_weight"], stride=2, padding=1)[0], p, "bn", 1e-4).relu()
    if kind == "norm_conv":
        means, spread = x.mean(0), x.var(0, correction=0)
        y = (x - means) / (spread + 1e-6).sqrt() * column(p["norm_weight"]) + column(p["norm_bias"])
        return F.conv2d(y[None], p["conv_weight"], stride=2, padding=1)[0]
    if kind == "residual_conv":
        y = F.conv2d(x[None], p["first_weight"], p["first_bias"], padding=1)[0]
        y = F.gelu(normed(y, p, "first_bn", 1e-5))
        y = normed(
            F.conv2d(y[None], p["second_weight"], p["second_bias"], padding=1)[0], p, "second_bn", 1e-5
        )
        scale = next((value for name, value in p.items() if name.endswith("_scale")), None)
        return x + y if scale is None else x + y * column(scale.flatten())
    assert kind == "classifier"
    return p["classes_weight"] @ normed(x, p, "norm", 1e-5).mean((1, 2)) + p["classes_bias"]


def normed(x: Tensor, p: dict[str, Tensor], name: str, eps: float) -> Tensor:
    """A batch norm of one image by its running statistics."""
    gain = p[f"{name}_weight"] / (p[f"{name}_var"] + eps).sqrt()
    return (x - column(p[f"{name}_mean"])) * column(gain) + column(p[f"{name}_bias"])


def column(values: Tensor) -> Tensor:
    return values[:, None, None]
