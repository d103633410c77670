"""Hiera's blocks against plain windows of a map: the unrolled order is an order, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_hiera import attention, max_pool
from torch import Tensor

from nas.blocks.elastic import Elastic
from nas.blocks.hiera import UnitAttention, UnitFFN
from nas.blocks.layouts import MAP, TOKENS, UNROLLED, VECTOR, Interface
from nas.blocks.ops import Ops
from nas.blocks.registry import converters
from nas.blocks.sizes import Sizes
from nas.blocks.unroll import Unroll
from nas.errors import NasError

OPS = Ops()
PLAN = {
    "width": 8, "first_width": 8, "last_width": 8, "heads": 2, "scope": 0, "pool_scope": 0, "stride": 1, "position": 0,
    "last": False,
}  # fmt: skip


def _numbers(h: int, w: int) -> Tensor:
    """A map whose values are the tokens' own coordinates: `(1, 2, h, w)`."""
    y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    return torch.stack([y, x])[None].double()


@given(rows=st.integers(1, 3), columns=st.integers(1, 3), bits=st.integers(0, 3))
@settings(max_examples=30, deadline=None)
def test_quarters_of_the_order_are_pools_and_leading_bits_are_mask_units(
    rows: int, columns: int, bits: int
) -> None:
    span = 2**bits
    tokens = OPS.unroll(_numbers(rows * span, columns * span), span)[0]
    for level in range(bits + 1):
        unit = 2**level
        windows = tokens.view(unit * unit, -1, 2) // unit
        assert bool((windows == windows[:1]).all())  # the tokens of a window lie in one square of the map
        assert len(windows[0].unique(dim=0)) == windows.shape[1]
    if bits:
        pooled = OPS.pool_tokens(tokens[None].clone(), 2) // 2
        assert torch.equal(pooled, OPS.unroll(_numbers(rows * span // 2, columns * span // 2), span // 2))
    assert torch.equal(
        OPS.reroll(tokens[None], rows * span, columns * span, span)[0],
        _numbers(rows * span, columns * span)[0],
    )


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("unit", [0, 2, 4, 8])
@pytest.mark.parametrize("cout", [6, 12])
def test_attention_equals_attention_in_windows_of_a_map(stride: int, unit: int, cout: int) -> None:
    h, w, cin, heads = 16, 24, 6, 3
    sizes = {
        "h": h, "w": w, "cin": cin, "cout": cout, "stride": stride, "heads": heads,
        "windows": (h // unit) * (w // unit) if unit else 1,
    }  # fmt: skip
    generator = torch.Generator().manual_seed(cout + unit)
    layer = Elastic(UnitAttention, {k: np.array([v]) for k, v in sizes.items()}, generator).double()
    p = {k: torch.randn(v.shape, generator=generator, dtype=v.dtype) for k, v in layer.state_dict().items()}
    x = torch.randn(2, cin, h, w, generator=generator, dtype=torch.float64)
    expected = attention(x, p, heads, stride, unit)
    found = UnitAttention.forward(OPS.unroll(x, 8), Sizes(sizes), OPS.bind(p))
    found = OPS.reroll(found, h // stride, w // stride, 8 // stride)
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-11)


def test_a_pool_without_a_change_of_width_pools_its_shortcut() -> None:
    """Published code pools only where it projects, and crashes here."""
    sizes = {"h": 4, "w": 4, "cin": 4, "cout": 4, "stride": 2, "windows": 1, "heads": 1}
    layer = Elastic(UnitAttention, {k: np.array([v]) for k, v in sizes.items()}, torch.Generator())
    with torch.no_grad():
        layer.project_weight.zero_()
        x = torch.randn(1, 4, 4, 4)
        out = OPS.reroll(layer(OPS.unroll(x, 4), sizes, OPS), 2, 2, 2)
    assert torch.equal(out, max_pool(x, 2))


def test_gradients_of_attention_are_right() -> None:
    sizes = {"h": 4, "w": 4, "cin": 4, "cout": 6, "stride": 2, "windows": 4, "heads": 2}
    layer = Elastic(UnitAttention, {k: np.array([v]) for k, v in sizes.items()}, torch.Generator()).double()
    x = torch.randn(2, 16, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: layer(x, sizes, Ops(training=True)), x.requires_grad_())


def test_a_feed_forward_is_as_wide_as_what_comes_in() -> None:
    sizes, out = UnitFFN.plan(Interface(UNROLLED, 12, 4, 4), {"mlp_ratio": 3, "act": 0, "norm": 0})
    assert (sizes["channels"], sizes["hidden"], out.channels) == (12, 36, 12)


def test_half_a_width_step_is_where_the_fields_say() -> None:
    inp = Interface(UNROLLED, 8, 8, 8, {"span": 4, "units": 4})
    fields = {**PLAN, "width": 16, "first_width": 8, "last_width": 32, "stride": 2}
    first, out = UnitAttention.plan(inp, fields)
    assert (first["cin"], first["cout"], out.extras["span"], out.h) == (8, 8, 2, 4)
    second, out = UnitAttention.plan(out, {**fields, "stride": 1, "position": 1})
    assert (second["cin"], second["cout"], second["h"]) == (8, 16, 4)
    last, _ = UnitAttention.plan(out, {**fields, "stride": 1, "position": 2, "last": True})
    assert (last["cin"], last["cout"]) == (16, 32)


@pytest.mark.parametrize(
    ("fields", "channels", "words"),
    [
        ({"heads": 3}, 8, "3 heads do not divide 8 channels"),
        ({"stride": 2}, 8, "no pool is left"),
        ({"position": 2}, 4, "4 channels come in where the stage's widths say 8"),
    ],
)
def test_attention_that_cannot_be_built_says_why(fields: dict[str, int], channels: int, words: str) -> None:
    with pytest.raises(NasError, match=words):
        UnitAttention.plan(Interface(UNROLLED, channels, 8, 8, {"span": 1, "units": 1}), {**PLAN, **fields})


@pytest.mark.parametrize(
    ("span", "unit", "side", "words"),
    [
        (6, 2, 12, "power of two, not 6"),
        (8, 3, 16, "3 does not divide the span 8"),
        (8, 4, 20, "no whole squares"),
    ],
)
def test_a_map_that_cannot_be_unrolled_says_why(span: int, unit: int, side: int, words: str) -> None:
    with pytest.raises(NasError, match=words):
        Unroll.plan(Interface(MAP, 4, side, side), {"span": span, "mask_unit": unit})


def test_layouts_that_nothing_leads_to_are_explained() -> None:
    assert [unit.kind for unit in converters(UNROLLED, TOKENS, "ffn")] == ["reroll", "to_tokens"]
    with pytest.raises(
        NasError, match="'hiera' takes unrolled tokens, not a map; put a stage of block 'unroll'"
    ):
        converters(MAP, UNROLLED, "hiera")
    with pytest.raises(NasError, match="takes a map, not class scores"):
        converters(VECTOR, MAP, "mbconv")


def test_the_naive_attention_itself_is_pytorchs() -> None:
    """One window, no pool, equal widths: PyTorch's own multi-head attention behind a layer norm."""
    generator = torch.Generator().manual_seed(0)
    c, heads = 8, 2
    mha = torch.nn.MultiheadAttention(c, heads, batch_first=True, dtype=torch.float64)
    x = torch.randn(2, c, 4, 6, generator=generator, dtype=torch.float64)
    qkv, bias = mha.in_proj_weight.detach().chunk(3), mha.in_proj_bias.detach().chunk(3)
    p = {
        "norm_weight": torch.ones(c), "norm_bias": torch.zeros(c),
        **{f"{n}_weight": weight for n, weight in zip("qkv", qkv)}, **{f"{n}_bias": b for n, b in zip("qkv", bias)},
        "project_weight": mha.out_proj.weight.detach(), "project_bias": mha.out_proj.bias.detach(),
    }  # fmt: skip
    p = {name: tensor.double() for name, tensor in p.items()}
    tokens = x.flatten(2).transpose(1, 2)
    normed = F.layer_norm(tokens, (c,), eps=1e-6)
    expected = tokens + mha(normed, normed, normed, need_weights=False)[0]
    found = attention(x, p, heads, stride=1, unit=0).flatten(2).transpose(1, 2)
    torch.testing.assert_close(found, expected.detach(), rtol=1e-10, atol=1e-10)
