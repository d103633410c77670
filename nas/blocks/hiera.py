"""Hiera's block on unrolled tokens: mask-unit or global attention with Q-pooling, and a feed-forward network.

Source: Hiera (arXiv 2306.00989), published code `hiera.py`. TurboViT (Wong, Abbasi, Nair, 2023) is built around the
same two patterns. Pre-norm; the query of a stage's first block is max-pooled over 2×2 tokens. Attention is within mask
units, whose number stays the same from stage to stage, or over all tokens; a pool attends like the stage before it, so
that attention is global only where tokens have become fewer. Differences from the published code, on purpose:

* The shortcut is pooled where tokens are pooled and projected where the width changes, each alone; the published
  code ties both. So a width may change a block before or behind the pool.
* The projection of a shortcut starts as the identity on the channels that both widths have, and residual branches end
  in a projection that starts at 0. Subnets that change the width at other blocks, or are deeper, then mean the same by
  a channel; from random projections, one for each place a width may change at, a supernet hardly learns.
* Biases start at 0 and the classifier like any other layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nas.arith import Num, where
from nas.blocks.base import Field, Unit, act, block_of, refuse, width
from nas.blocks.heads import HIERA_EPS
from nas.blocks.layouts import UNROLLED, Interface
from nas.blocks.operations import Operations
from nas.blocks.sizes import Sizes
from nas.blocks.transformer import FFN, NORM

SCOPES = ("mask_unit", "global")


class UnitAttention(Unit):
    """Multi-head attention in `windows` groups of unrolled tokens, with its residual.

    A window has `h·w / windows` keys; with stride 2 a quarter as many queries.
    """

    kind = "unit_attention"
    takes = UNROLLED
    fields = {
        "width": width(),
        "first_width": Field(
            default="width", about="of the stage's first block; another: the width changes after"
        ),
        "last_width": Field(
            default="width", about="of the stage's last block; another: the next width, early"
        ),
        "heads": Field(about="attention heads"),
        "scope": Field(
            default="mask_unit", words=SCOPES, strided=False, about="which tokens attend to each other"
        ),
        "pool_scope": Field(default="mask_unit", words=SCOPES, about="scope of a pool: the stage's before"),
    }
    keys = ("h", "w", "cin", "cout", "stride", "windows", "heads")
    strides = (1, 2)

    @classmethod
    def plan(cls, inp: Interface, fields: Mapping[str, Num]) -> tuple[dict[str, Num], Interface]:
        stride, heads, units, span = fields["stride"], fields["heads"], inp.extra("units"), inp.extra("span")
        cin, cout = _widths(inp, fields)
        scope = fields["scope"] if stride == 1 else fields["pool_scope"]
        windows = where(scope == SCOPES.index("mask_unit"), units, 1)
        h, w = (inp.h, inp.w) if stride == 1 else (inp.h // stride, inp.w // stride)
        refuse(cin != inp.channels, f"{inp.channels} channels come in where the stage's widths say {cin}")
        refuse(cout % heads != 0, f"{heads} heads do not divide {cout} channels")
        refuse(span % stride != 0, "no pool is left in the unrolled order; give 'unroll' a larger span")
        refuse(h * w % windows != 0, f"{windows} mask units do not divide a map of {h}×{w} tokens")
        values = (inp.h, inp.w, cin, cout, stride, windows, heads)
        out = inp.with_(channels=cout)
        if stride != 1:
            out = out.with_(h=h, w=w, extras={"span": span // stride})
        return dict(zip(cls.keys, values)), out

    @classmethod
    def forward(cls, x: Any, s: Sizes, ops: Operations) -> Any:
        normed = ops.token_norm("norm", x, eps=HIERA_EPS)
        if s.cin != s.cout:
            x = ops.linear("widen", normed, s.cout, init="identity")
        x = x if s.stride == 1 else ops.pool_tokens(x, s.stride)
        q = ops.linear("q", normed, s.cout)
        q = q if s.stride == 1 else ops.pool_tokens(q, s.stride)
        k, v = ops.linear("k", normed, s.cout), ops.linear("v", normed, s.cout)
        weights = ops.softmax(ops.window_scores(q, k, s.windows, s.heads))
        y = ops.window_weigh(v, weights, s.windows, s.heads)
        return x + ops.linear("project", y, s.cout, init="zeros")


def _widths(inp: Interface, fields: Mapping[str, Num]) -> tuple[Num, Num]:
    """Channels in and out of a block. Those inside a stage are read from its fields, so that they depend on few
    decisions, and not, through every block before, on the depth."""
    first, within, position = fields["first_width"], fields["width"], fields["position"]
    cin = inp.channels if position == 0 else first if position == 1 else within
    return cin, where(fields["last"], fields["last_width"], first if position == 0 else within)


class UnitFFN(FFN):
    """The feed-forward network behind `unit_attention`, as wide as what comes in."""

    kind = "unit_ffn"
    takes = UNROLLED
    fields = {
        "mlp_ratio": Field(default=4, about="hidden over input channels"),
        "act": act("gelu"),
        "norm": NORM,
    }
    last = "zeros"
    eps = HIERA_EPS

    @classmethod
    def sizes(cls, inp: Interface, f: Sizes) -> Mapping[str, Num]:
        return {"hidden": f.mlp_ratio * inp.channels}


PARTS = (UnitAttention, UnitFFN, block_of("hiera", UnitAttention, UnitFFN))
