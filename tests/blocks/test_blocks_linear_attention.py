"""Attention of linear cost, written out pixel by pixel; and which weights heads of another width share."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from nas.blocks.base import Unit
from nas.blocks.elastic import Elastic
from nas.blocks.lite_mla import LiteMLA
from nas.blocks.mobilevit import PatchAttention, SeparableAttention
from nas.blocks.ops import Ops
from nas.testing.blocks import static

CLOSE = {"rtol": 1e-10, "atol": 1e-10}
MLA = {"channels": 6, "heads": 2, "dim": 3, "scale1": 5, "scale2": 3, "eps": 5, "attention_eps": 15}
PATCHES = {"h": 4, "w": 6, "channels": 6, "patch": 2, "eps": 5}


def drawn(unit: type[Unit], sizes: dict[str, int], shape: tuple[int, ...]) -> tuple[Elastic, Tensor]:
    generator = torch.Generator().manual_seed(1)
    layer = static(unit, sizes).double().eval()
    with torch.no_grad():
        for tensor in layer.state_dict().values():
            noise = torch.rand(tensor.shape, generator=generator, dtype=torch.float64)
            tensor.copy_(noise - (0.5 if tensor.dim() > 1 else -0.5))
    return layer, torch.randn(2, *shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize(("h", "w"), [(1, 3), (4, 5)])
def test_multi_scale_attention_is_that_of_its_definition(h: int, w: int) -> None:
    """Three pixels are compared in pairs, twenty by their sum."""
    sizes = {"h": h, "w": w, **MLA}
    layer, x = drawn(LiteMLA, sizes, (6, h, w))
    with torch.no_grad():
        got = layer(x, sizes, Ops())
        scales = [F.conv2d(x, layer.qkv_weight.flatten(0, 2))]
        for number, side in ((1, 5), (2, 3)):
            near, mix = (getattr(layer, f"{name}{number}_weight").flatten(0, 2) for name in ("near", "mix"))
            y = F.conv2d(scales[0], near, padding=side // 2, groups=18)
            scales.append(F.conv2d(y, mix, groups=6))
        heads = []
        for scale in scales:
            for head in scale.flatten(2).split(9, 1):
                q, k, v = (part.transpose(1, 2) for part in head.split(3, 1))
                weights = q.relu() @ k.relu().transpose(1, 2)
                heads.append((weights / (weights.sum(2, keepdim=True) + 1e-15)) @ v)
        y = torch.cat(heads, 2).transpose(1, 2).unflatten(2, (h, w))
        y = F.conv2d(y, layer.project_weight.flatten(1, 3))
        norm = [getattr(layer, f"project_bn_{name}") for name in ("mean", "var", "weight", "bias")]
        torch.testing.assert_close(got, x + F.batch_norm(y, *norm), **CLOSE)


def test_heads_of_half_the_width_have_the_leading_rows_of_queries_keys_and_values() -> None:
    rows = [{**MLA, "h": 4, "w": 4, "channels": 12, "heads": heads, "dim": 12 // heads} for heads in (3, 6)]
    whole = Elastic(LiteMLA, {key: np.array([row[key] for row in rows]) for key in LiteMLA.keys})
    assert tuple(whole.qkv_weight.shape) == (6, 3, 4, 12, 1, 1)
    with torch.no_grad():
        whole.qkv_weight.copy_(torch.arange(3.0).view(1, 3, 1, 1, 1, 1).expand_as(whole.qkv_weight))
    for row in rows:
        part = whole.extract(row).qkv_weight
        assert all((part[:, role] == role).all() for role in range(3))


def test_separable_attention_is_that_of_its_definition() -> None:
    layer, x = drawn(SeparableAttention, PATCHES, (6, 4, 6))
    with torch.no_grad():
        got = layer(x, PATCHES, Ops())
        y = F.group_norm(x, 1, layer.norm_weight, layer.norm_bias, 1e-5)
        q, k, v = (F.conv2d(y, *(getattr(layer, f"{n}_{end}") for end in ("weight", "bias"))) for n in "qkv")
        expected = torch.zeros_like(v)
        for place in range(4):
            context = sum(
                k[:, :, place, j, None] * q[:, :, place].softmax(2)[:, :, j, None] for j in range(6)
            )
            expected[:, :, place] = v[:, :, place].relu() * context
        expected = x + F.conv2d(expected, layer.project_weight, layer.project_bias)
    torch.testing.assert_close(got, expected, **CLOSE)


def test_softmax_attention_is_among_the_pixels_of_one_place() -> None:
    sizes = {**PATCHES, "heads": 2, "dim": 3}
    layer, x = drawn(PatchAttention, sizes, (6, 4, 6))
    with torch.no_grad():
        got = layer(x, sizes, Ops())
        y = F.group_norm(x, 1, layer.norm_weight, layer.norm_bias, 1e-5)
        parts = [(getattr(layer, f"{n}_weight"), getattr(layer, f"{n}_bias")) for n in "qkv"]
        q, k, v = (F.conv2d(y, w.flatten(0, 1), b.flatten()).permute(0, 2, 3, 1) for w, b in parts)
        heads = [
            F.scaled_dot_product_attention(q[..., cut], k[..., cut], v[..., cut])
            for cut in (slice(0, 3), slice(3, 6))
        ]
        y = torch.cat(heads, -1).permute(0, 3, 1, 2)
        expected = x + F.conv2d(y, layer.project_weight.flatten(1, 2), layer.project_bias)
    torch.testing.assert_close(got, expected, **CLOSE)
