"""EfficientFormer's two blocks, MB4D on maps and MB3D on tokens.

Source: EfficientFormer (arXiv 2206.01191), published code `models/efficientformer.py`. Every branch is
residual and ends in a layer scale.

* MB4D: `x + s₁·(pool(x) - x)`, then `x + s₂·(1×1 conv, norm, act, 1×1 conv, norm)(x)`.
* MB3D: `x + s₁·attention(norm(x))`, then `x + s₂·(linear, act, linear)(norm(x))`; a learned bias per head and
  absolute offset is added to the scores.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nas.arith import Num
from nas.blocks.base import SAME_WIDTH, Field, Unit, act, width_of
from nas.blocks.layouts import TOKENS, Interface
from nas.blocks.operations import Operations
from nas.blocks.sizes import Sizes

_COMMON = {
    "width": SAME_WIDTH,
    "mlp_ratio": Field(default=4, about="hidden over input channels"),
    "act": act("gelu"),
}


class MB4D(Unit):
    """Pool mixer minus identity, then two 1×1 convolutions."""

    kind = "mb4d"
    fields = _COMMON
    keys = ("h", "w", "channels", "hidden", "act")

    @classmethod
    def sizes(cls, inp: Interface, f: Sizes) -> Mapping[str, Num]:
        return {"hidden": f.mlp_ratio * width_of(inp, f)}

    @classmethod
    def forward(cls, x: Any, s: Sizes, ops: Operations) -> Any:
        x = x + ops.scale("pool_scale", ops.neighbours(x) - x)
        y = ops.act(ops.conv_norm("expand", x, s.hidden, bias=True), s.act)
        return x + ops.conv_norm("project", y, s.channels, bias=True, scale=True)


class MB3D(Unit):
    """Attention over all tokens, then two linear layers."""

    kind = "mb3d"
    takes = TOKENS
    fields = {
        **_COMMON,
        "heads": Field(default=8, about="attention heads"),
        "qk_dim": Field(default=32, about="query and key channels per head"),
        "v_ratio": Field(default=4, about="value over query channels"),
    }
    keys = ("h", "w", "channels", "heads", "qk_dim", "v_dim", "hidden", "act")

    @classmethod
    def sizes(cls, inp: Interface, f: Sizes) -> Mapping[str, Num]:
        return {"v_dim": f.v_ratio * f.qk_dim, "hidden": f.mlp_ratio * width_of(inp, f)}

    @classmethod
    def forward(cls, x: Any, s: Sizes, ops: Operations) -> Any:
        y = ops.token_norm("norm", x)
        v = ops.linear("v", y, (s.heads, s.v_dim))
        q, k = ops.linear("q", y, (s.heads, s.qk_dim)), ops.linear("k", y, (s.heads, s.qk_dim))
        bias = ops.distance_bias("distance_bias", s.heads, s.h, s.w)
        y = ops.weigh(v, ops.softmax(ops.scores(q, k, s.heads, bias)))
        x = x + ops.linear_scale("join", y, s.channels, inputs=(s.heads, s.v_dim))
        y = ops.linear("expand", ops.token_norm("mlp_norm", x), s.hidden)
        return x + ops.linear_scale("project", ops.act(y, s.act), s.channels)


PARTS = (MB4D, MB3D)
