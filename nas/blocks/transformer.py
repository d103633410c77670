"""ElasticViT's transformer layer: attention with a convolved V, then a feed-forward network.

Source: ElasticViT (arXiv 2303.09730), published code `models/transformer.py`. Pre-norm; qkv without bias;
V passes through a 3×3 depth-wise convolution; a learned bias per head and offset is added to the scores;
hard-swish before the projection; both halves residual. Differences from the published code, on purpose:

* The norm is per token (`layer_norm`). The published one normalises tokens and channels jointly: `joint_norm`.
* q, k and v rows keep their role at every width: weights are stored per head and sliced per head, where the
  published code slices three row blocks and then reads them as if they were stored per head.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from nas.arith import Num
from nas.blocks.base import SAME_WIDTH, TOKEN_NORMS, Field, Init, Unit, act, block_of, refuse, width_of
from nas.blocks.layouts import TOKENS, Interface, Layout
from nas.blocks.operations import Operations
from nas.blocks.projections import LN_EPS
from nas.blocks.sizes import Sizes

V_KERNEL = 3
NORM = Field(default="layer_norm", words=TOKEN_NORMS)


class Attention(Unit):
    """Multi-head attention over all tokens of the map, with its residual."""

    kind = "attention"
    takes = TOKENS
    fields = {
        "width": SAME_WIDTH,
        "heads": Field(about="attention heads"),
        "qk_dim": Field(default=16, about="query and key channels per head"),
        "v_scale": Field(default=1, about="value channels over width"),
        "act": act("hard_swish"),
        "norm": NORM,
    }
    keys = ("h", "w", "channels", "heads", "qk_dim", "v_dim", "act", "norm")

    @classmethod
    def sizes(cls, inp: Interface, f: Sizes) -> Mapping[str, Num]:
        values = f.v_scale * width_of(inp, f)
        v_dim = values // f.heads
        refuse(v_dim < 1, f"{f.heads} heads are more than the {values} value channels")
        return {"v_dim": v_dim}

    @classmethod
    def forward(cls, x: Any, s: Sizes, ops: Operations) -> Any:
        y = ops.token_norm("norm", x, s.norm)
        v = ops.linear("v", y, (s.heads, s.v_dim), bias=False)
        v = ops.depthwise_tokens("v_conv", v, s.heads, s.v_dim, s.h, s.w, V_KERNEL)
        q = ops.linear("q", y, (s.heads, s.qk_dim), bias=False)
        k = ops.linear("k", y, (s.heads, s.qk_dim), bias=False)
        bias = ops.offset_bias("offset_bias", s.heads, s.h, s.w)
        y = ops.weigh(v, ops.softmax(ops.scores(q, k, s.heads, bias)))
        return x + ops.linear("project", ops.act(y, s.act), s.channels, inputs=(s.heads, s.v_dim))


class FFN(Unit):
    """Two linear layers with an activation between, and their residual."""

    kind = "ffn"
    takes: ClassVar[Layout] = TOKENS
    fields = {
        "width": SAME_WIDTH,
        "mlp_ratio": Field(default=4, about="hidden over input channels"),
        "act": act("hard_swish"),
        "norm": NORM,
    }
    keys = ("h", "w", "channels", "hidden", "act", "norm")
    last: ClassVar[Init] = "linear"
    eps: ClassVar[float] = LN_EPS

    @classmethod
    def sizes(cls, inp: Interface, f: Sizes) -> Mapping[str, Num]:
        return {"hidden": f.mlp_ratio * width_of(inp, f)}

    @classmethod
    def forward(cls, x: Any, s: Sizes, ops: Operations) -> Any:
        y = ops.linear("expand", ops.token_norm("norm", x, s.norm, cls.eps), s.hidden)
        return x + ops.linear("project", ops.act(y, s.act), s.channels, init=cls.last)


PARTS = (Attention, FFN, block_of("transformer", Attention, FFN))
