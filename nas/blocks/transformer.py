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
from typing import TYPE_CHECKING, ClassVar

from nas.arith import Num
from nas.blocks.base import (
    ACTIVATIONS,
    TOKEN_NORMS,
    Field,
    Interface,
    Kernel,
    Layout,
    Parts,
    Sizes,
    Unit,
    Weight,
)
from nas.blocks.norms import affine

if TYPE_CHECKING:
    from torch import Tensor

    from nas.blocks.ops import Ops

V_KERNEL = 3


class Attention(Unit):
    """Multi-head attention over all tokens of the map, with its residual."""

    kind = "attention"
    takes = "tokens"
    fields = {
        "width": Field(about="channels"),
        "heads": Field(about="attention heads"),
        "qk_dim": Field(default=16, about="query and key channels per head"),
        "v_scale": Field(default=1, about="value channels over width"),
        "act": Field(default="hard_swish", words=ACTIVATIONS),
        "norm": Field(default="layer_norm", words=TOKEN_NORMS),
    }
    keys = ("h", "w", "channels", "heads", "qk_dim", "v_dim", "act", "norm")

    @classmethod
    def plan(cls, inp: Interface, fields: Mapping[str, Num]) -> tuple[dict[str, Num], Interface]:
        sizes = {
            "h": inp.h,
            "w": inp.w,
            "channels": inp.channels,
            "heads": fields["heads"],
            "qk_dim": fields["qk_dim"],
            "v_dim": fields["v_scale"] * fields["width"] // fields["heads"],
            "act": fields["act"],
            "norm": fields["norm"],
        }
        return sizes, inp

    @classmethod
    def weights(cls, s: Sizes) -> dict[str, Weight]:
        c, heads, qk, v = s["channels"], s["heads"], s["qk_dim"], s["v_dim"]
        return {
            **affine("norm", c),
            "q_weight": Weight((heads, qk, c), decay=True),
            "k_weight": Weight((heads, qk, c), decay=True),
            "v_weight": Weight((heads, v, c), decay=True),
            "v_conv_weight": Weight((heads, v, V_KERNEL, V_KERNEL), "conv", crop=True),
            "offset_bias": Weight((heads, 2 * s["h"] - 1, 2 * s["w"] - 1), "table", crop=True),
            "project_weight": Weight((c, heads, v), decay=True),
            "project_bias": Weight((c,), "zeros"),
        }

    @classmethod
    def kernels(cls, s: Sizes) -> list[Kernel]:
        n, c, heads = s["h"] * s["w"], s["channels"], s["heads"]
        qk, v = heads * s["qk_dim"], heads * s["v_dim"]
        scores = heads * n * n
        return [
            Kernel("norm", n * c),
            Kernel("matmul", n * v, n * c * v, reads=(0,)),
            Kernel("depthwise", n * v, n * v * V_KERNEL * V_KERNEL, reads=(1,)),
            Kernel("matmul", n * qk, n * c * qk, reads=(0,)),
            Kernel("matmul", n * qk, n * c * qk, reads=(0,)),
            Kernel("gather", scores),
            Kernel("matmul", scores, n * n * qk, reads=(3, 4, 5)),
            Kernel("softmax", scores, reads=(6,)),
            Kernel("matmul", n * v, n * n * v, reads=(2, 7)),
            Kernel("copy", n * v, reads=(8,)),
            Kernel("act", n * v, reads=(9,)),
            Kernel("matmul", n * c, n * c * v, reads=(10,)),
            Kernel("add", n * c, reads=(11,)),
        ]

    @classmethod
    def forward(cls, x: Tensor, p: Parts, s: Mapping[str, int], ops: Ops) -> Tensor:
        return x + cls._mix(x, p, s, ops)

    @classmethod
    def _mix(cls, x: Tensor, p: Parts, s: Mapping[str, int], ops: Ops) -> Tensor:
        x = ops.token_norm(x, p, "norm", s["norm"])
        v = ops.heads_linear(x, p["v_weight"])
        v = ops.conv_over_tokens(v, p["v_conv_weight"], s["h"], s["w"])
        q, k = ops.heads_linear(x, p["q_weight"]), ops.heads_linear(x, p["k_weight"])
        del x
        weights = ops.scores(q, k, p["offset_bias"], s["h"], s["w"])
        del q, k
        weights = weights.softmax(-1)
        y = ops.weigh(v, weights)
        batch = v.shape[0]
        del v, weights
        y = ops.join_heads(y, batch)
        y = ops.act(y, s["act"])
        return ops.linear(y, p["project_weight"].flatten(1), p["project_bias"])


class FFN(Unit):
    """Two linear layers with an activation between, and their residual."""

    kind = "ffn"
    takes: ClassVar[Layout] = "tokens"
    fields = {
        "width": Field(about="channels"),
        "mlp_ratio": Field(default=4, about="hidden over input channels"),
        "act": Field(default="hard_swish", words=ACTIVATIONS),
        "norm": Field(default="layer_norm", words=TOKEN_NORMS),
    }
    keys = ("h", "w", "channels", "hidden", "act", "norm")

    @classmethod
    def plan(cls, inp: Interface, fields: Mapping[str, Num]) -> tuple[dict[str, Num], Interface]:
        sizes = {
            "h": inp.h,
            "w": inp.w,
            "channels": inp.channels,
            "hidden": fields["mlp_ratio"] * fields["width"],
            "act": fields["act"],
            "norm": fields["norm"],
        }
        return sizes, inp

    @classmethod
    def weights(cls, s: Sizes) -> dict[str, Weight]:
        c, hidden = s["channels"], s["hidden"]
        return {
            **affine("norm", c),
            "expand_weight": Weight((hidden, c), decay=True),
            "expand_bias": Weight((hidden,), "zeros"),
            "project_weight": Weight((c, hidden), decay=True),
            "project_bias": Weight((c,), "zeros"),
        }

    @classmethod
    def kernels(cls, s: Sizes) -> list[Kernel]:
        n, c, hidden = s["h"] * s["w"], s["channels"], s["hidden"]
        return [
            Kernel("norm", n * c),
            Kernel("matmul", n * hidden, n * c * hidden, reads=(0,)),
            Kernel("act", n * hidden, reads=(1,)),
            Kernel("matmul", n * c, n * c * hidden, reads=(2,)),
            Kernel("add", n * c, reads=(3,)),
        ]

    @classmethod
    def forward(cls, x: Tensor, p: Parts, s: Mapping[str, int], ops: Ops) -> Tensor:
        return x + cls._mix(x, p, s, ops)

    @classmethod
    def _mix(cls, x: Tensor, p: Parts, s: Mapping[str, int], ops: Ops) -> Tensor:
        y = ops.token_norm(x, p, "norm", s["norm"])
        y = ops.linear(y, p["expand_weight"], p["expand_bias"])
        y = ops.act(y, s["act"])
        return ops.linear(y, p["project_weight"], p["project_bias"])
