"""ElasticViT's supernet and networks once more, from the description of the published code, under the authors' names.

Nothing of `nas` is used: plain functions of a dictionary of weights. A network is told by its decisions, as presets are
(`T1.width`, `C2.kernel`, …); it uses the leading part of every weight, of depth-wise kernels the centre.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

HEAD_DIM, HIDDEN, CLASSES, EPS = 16, 1984, 11, 1e-5
MOST = {"T1": 16, "T2": 16, "T3": 8, "T4": 4}  # side of the largest map, of images of 256 px


class Weights(dict[str, Tensor]):
    """Weights of a supernet by name; one that is asked for the first time is drawn, of the size it is needed in."""

    def part(self, name: str, *shape: int) -> Tensor:
        """The leading part of a weight."""
        if name not in self:
            self[name] = drawn(name, *shape)
        return self[name][tuple(slice(size) for size in shape)]


def drawn(name: str, *shape: int) -> Tensor:
    """Values for one weight, in float64, none of which is hidden: by its name, of a size that keeps signals alive."""
    generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    noise = torch.randn(shape, generator=generator, dtype=torch.float64)
    if name.endswith("running_var"):
        return noise.abs() + 0.5
    if name.endswith("weight") and len(shape) == 1:
        return 1 + 0.3 * noise
    return noise / noise[0].numel() ** 0.5 if len(shape) > 1 and "attention_bias" not in name else 0.5 * noise


def supernet(largest: Mapping[str, int | str]) -> Weights:
    """Weights of a supernet; its largest network uses all of every weight."""
    weights = Weights()
    answer(weights, largest, torch.zeros(1, 3, 256, 256, dtype=torch.float64))
    return weights


def answer(w: Weights, arch: Mapping[str, int | str], images: Tensor) -> Tensor:
    """Class scores of a network on images `(B, 3, R, R)` that have its resolution."""
    d = {name: int(value) for name, value in arch.items()}
    x = F.conv2d(images, w.part("first_conv.weight", d["first.width"], 3, 3, 3), stride=2, padding=1)
    x = F.hardswish(_bn(w, "first_conv_bn", x))
    for layer in range(d["stem.depth"]):
        x = _mbconv(w, f"conv_stem.layers.{layer}.0", x, x.shape[1], 1, d["stem.kernel"], 1, se=False)
    for number, stage in enumerate(("C1", "C2")):
        for layer in range(d[f"{stage}.depth"]):
            out, expansion, kernel = (d[f"{stage}.{size}"] for size in ("width", "expansion", "kernel"))
            at, stride = f"feature_exactor.{number}.layers.{layer}.0", 1 if layer else 2
            x = _mbconv(w, at, x, out, expansion, kernel, stride, se=stage == "C2")
    for number, (stage, most) in enumerate(MOST.items(), 2):
        at, stride = f"feature_exactor.{number}.layers", 1 if stage == "T2" else 2
        x = _mbconv(w, f"{at}.0.reduction", x, d[f"{stage}.width"], 6, 3, stride, se=True)
        side, x = x.shape[-1], x.flatten(2).transpose(1, 2)
        for layer in range(d[f"{stage}.depth"]):
            x = x + _attention(w, f"{at}.{2 * layer}", x, d[f"{stage}.v_scale"], side, most)
            x = x + _ffn(w, f"{at}.{2 * layer + 1}", x, d[f"{stage}.mlp_ratio"])
        x = x.transpose(1, 2).unflatten(2, (side, side))
    x = _linear(w, "pre_head_0", x.flatten(2).transpose(1, 2), 6 * x.shape[1])
    x = F.hardswish(_bn(w, "pre_head_norm_0", x.transpose(1, 2))).mean(2)
    return _linear(w, "classifer", F.hardswish(_linear(w, "pre_head_1", x, HIDDEN)), CLASSES)


def _bn(w: Weights, at: str, x: Tensor) -> Tensor:
    ends = ("running_mean", "running_var", "weight", "bias")
    return F.batch_norm(x, *[w.part(f"{at}.{end}", x.shape[1]) for end in ends], eps=EPS)


def _linear(w: Weights, at: str, x: Tensor, out: int) -> Tensor:
    return F.linear(x, w.part(f"{at}.weight", out, x.shape[-1]), w.part(f"{at}.bias", out))


def _conv(w: Weights, at: str, x: Tensor, out: int, bias: bool = False) -> Tensor:
    return F.conv2d(
        x, w.part(f"{at}.weight", out, x.shape[1], 1, 1), w.part(f"{at}.bias", out) if bias else None
    )


def _mbconv(
    w: Weights, at: str, x: Tensor, out: int, expansion: int, kernel: int, stride: int, se: bool
) -> Tensor:
    inner, y, short = x.shape[1] * expansion, x, x
    if expansion > 1:
        y = F.hardswish(_bn(w, f"{at}.pw_bn", _conv(w, f"{at}.pw_conv", y, inner)))
    most = 3 if at.endswith("reduction") else 5
    centre = slice((most - kernel) // 2, (most + kernel) // 2)
    depthwise = w.part(f"{at}.dw_conv.weight", inner, 1, most, most)[:, :, centre, centre]
    y = F.conv2d(y, depthwise, stride=stride, padding=kernel // 2, groups=inner)
    y = F.hardswish(_bn(w, f"{at}.dw_bn", y))
    if se:
        gate = F.relu(_conv(w, f"{at}.se_conv1", y.mean((2, 3), keepdim=True), inner // 4, bias=True))
        y = y * F.hardsigmoid(_conv(w, f"{at}.se_conv2", gate, inner, bias=True))
    y = _bn(w, f"{at}.pwl_bn", _conv(w, f"{at}.pwl_conv", y, out))
    if stride == 2:
        short = F.avg_pool2d(short, 2, padding=short.shape[-1] % 2)
    return y + (short if short.shape[1] == out else _conv(w, f"{at}.shortcut_conv", short, out))


def _joint_norm(w: Weights, at: str, x: Tensor) -> Tensor:
    """Over tokens and channels together, then a scale and a shift by channel."""
    mean, var = x.mean((1, 2), keepdim=True), x.var((1, 2), unbiased=False, keepdim=True)
    scale, shift = (w.part(f"{at}.{end}", x.shape[2]) for end in ("weight", "bias"))
    return (x - mean) / (var + EPS).sqrt() * scale + shift


def _attention(w: Weights, at: str, x: Tensor, v_scale: int, side: int, most: int) -> Tensor:
    """`most`: side of the largest map, by whose offsets the table is indexed."""
    c, heads, v_dim, y = (
        x.shape[2],
        x.shape[2] // HEAD_DIM,
        v_scale * HEAD_DIM,
        _joint_norm(w, f"{at}.norm1", x),
    )
    whole = w[f"{at}.norm1.weight"].shape[0]
    rows = w.part(f"{at}.qkv.weight", 6 * whole, c)
    blocks = torch.cat([rows[:c], rows[whole : whole + c], rows[2 * whole : 2 * whole + heads * v_dim]])
    q, k, v = F.linear(y, blocks).unflatten(2, (heads, -1)).split([HEAD_DIM, HEAD_DIM, v_dim], 3)
    v = v.flatten(2).transpose(1, 2).unflatten(2, (side, side))
    kernels = w.part(f"{at}.dw_v_conv.weight", heads * v_dim, 1, 3, 3)
    v = F.conv2d(v, kernels, padding=1, groups=heads * v_dim).flatten(2).unflatten(1, (heads, v_dim))
    line = torch.arange(side).expand(side, side)
    down, right = (a.flatten()[:, None] - a.flatten()[None] + most - 1 for a in (line.T, line))
    table = w.part(f"{at}.attention_bias", (2 * most - 1) ** 2, heads)
    bias = table[down * (2 * most - 1) + right].permute(2, 0, 1)
    shares = (torch.einsum("bnhd,bmhd->bhnm", q, k) / HEAD_DIM**0.5 + bias).softmax(3)
    return _linear(w, f"{at}.proj", F.hardswish(torch.einsum("bhnm,bhdm->bnhd", shares, v).flatten(2)), c)


def _ffn(w: Weights, at: str, x: Tensor, ratio: int) -> Tensor:
    y = _linear(w, f"{at}.fc1", _joint_norm(w, f"{at}.norm1", x), ratio * x.shape[2])
    return _linear(w, f"{at}.fc2", F.hardswish(y), x.shape[2])
