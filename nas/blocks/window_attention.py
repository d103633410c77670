"""Attention within square windows of a map, and the feed-forward network of tokens behind it.

Source: TinyViT (arXiv 2207.10666), section 3.2, and its code: pre-norm, q, k and v with biases, a learned bias per head
and absolute offset, no shift. A map that is no whole windows is padded at its far sides with zeros *before* the norm,
and what is padded is attended to as any pixel. A depth-wise convolution (`depthwise` without shortcut) joins the
windows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nas.arith import Num, ceil_div, where
from nas.blocks.base import SAME_WIDTH, Field, Member, Unit, act, block_of, eps_of, epsilon, refuse, width_of
from nas.blocks.layouts import Interface
from nas.blocks.map_parts import Depthwise
from nas.blocks.operations import Operations
from nas.blocks.sizes import Sizes
from nas.blocks.transformer import FFN


class WindowAttention(Unit):
    """Multi-head attention within windows, with its residual."""

    kind = "window_attention"
    fields = {
        "width": SAME_WIDTH,
        "heads": Field(about="attention heads"),
        "window": Field(default=0, low=0, about="side of a window in pixels; 0: as `across` says"),
        "across": Field(default=1, about="windows from the top to the bottom of the map"),
        "eps": epsilon(5),
    }
    keys = ("h", "w", "channels", "heads", "dim", "window", "eps")

    @classmethod
    def sizes(cls, inp: Interface, f: Sizes) -> Mapping[str, Num]:
        width = width_of(inp, f)
        refuse(width % f.heads != 0, f"{f.heads} heads do not divide {width} channels")
        return {"dim": width // f.heads, "window": where(f.window == 0, ceil_div(inp.h, f.across), f.window)}

    @classmethod
    def forward(cls, x: Any, s: Sizes, ops: Operations) -> Any:
        bias = ops.distance_bias("distance_bias", s.heads, s.window, s.window)

        def attend(window: Any) -> Any:
            y = ops.token_norm("norm", ops.to_tokens(window), eps=eps_of(s))
            q, k, v = (ops.linear(name, y, (s.heads, s.dim)) for name in ("q", "k", "v"))
            y = ops.weigh(v, ops.softmax(ops.scores(q, k, s.heads, bias)))
            y = ops.linear("project", y, s.channels, inputs=(s.heads, s.dim), init="zeros")
            return ops.to_map(y, s.window, s.window)

        return x + ops.in_windows(attend, [x], [(s.window, s.window)])


class TokenFFN(FFN):
    """`ffn` with GELU, whose residual branch starts at zero."""

    kind = "token_ffn"
    fields = {**FFN.fields, "act": act("gelu")}
    last = "zeros"


PARTS = (
    WindowAttention,
    TokenFFN,
    block_of("tiny_vit", WindowAttention, Member("local", Depthwise, fixed={"shortcut": 0}), TokenFFN),
)
