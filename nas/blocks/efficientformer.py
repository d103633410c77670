"""EfficientFormer's two blocks, MB4D on maps and MB3D on tokens, and its classifier.

Source: EfficientFormer (arXiv 2206.01191), published code `models/efficientformer.py`. Every branch is
residual and ends in a layer scale.

* MB4D: `x + s₁·(pool(x) - x)`, then `x + s₂·(1×1 conv, norm, act, 1×1 conv, norm)(x)`.
* MB3D: `x + s₁·attention(norm(x))`, then `x + s₂·(linear, act, linear)(norm(x))`; a learned bias per head and
  absolute offset is added to the scores.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from nas.arith import Num
from nas.blocks.base import (
    ACTIVATIONS,
    TOKEN_NORMS,
    Field,
    Interface,
    Kernel,
    Parts,
    Sizes,
    Unit,
    Weight,
    when,
)
from nas.blocks.norms import affine, batch_norm, layer_scale

if TYPE_CHECKING:
    from torch import Tensor

    from nas.blocks.ops import Ops

LAYER_NORM = TOKEN_NORMS.index("layer_norm")
_COMMON = {
    "width": Field(about="channels"),
    "mlp_ratio": Field(default=4, about="hidden over input channels"),
    "act": Field(default="gelu", words=ACTIVATIONS),
}


class MB4D(Unit):
    """Pool mixer minus identity, then two 1×1 convolutions."""

    kind = "mb4d"
    fields = _COMMON
    keys = ("h", "w", "channels", "hidden", "act")
    folds = {"expand": ("expand_bn",), "project": ("project_bn", "project_scale")}

    @classmethod
    def plan(cls, inp: Interface, fields: Mapping[str, Num]) -> tuple[dict[str, Num], Interface]:
        hidden = fields["mlp_ratio"] * fields["width"]
        sizes = {"h": inp.h, "w": inp.w, "channels": inp.channels, "hidden": hidden, "act": fields["act"]}
        return sizes, inp

    @classmethod
    def weights(cls, s: Sizes) -> dict[str, Weight]:
        c, hidden = s["channels"], s["hidden"]
        return {
            **layer_scale("pool_scale", c),
            "expand_weight": Weight((hidden, c, 1, 1), "conv", decay=True),
            "expand_bias": Weight((hidden,), "zeros"),
            **batch_norm("expand_bn", hidden),
            "project_weight": Weight((c, hidden, 1, 1), "conv", decay=True),
            "project_bias": Weight((c,), "zeros"),
            **batch_norm("project_bn", c),
            **layer_scale("project_scale", c),
        }

    @classmethod
    def kernels(cls, s: Sizes) -> list[Kernel]:
        pixels = s["h"] * s["w"]
        wide, out = pixels * s["hidden"], pixels * s["channels"]
        return [
            Kernel("pool", out),
            Kernel("add", out, reads=(0,)),
            Kernel("mul", out, reads=(1,)),
            Kernel("add", out, reads=(2,)),
            Kernel("conv", wide, wide * s["channels"], reads=(3,)),
            Kernel("norm", wide, reads=(4,)),
            Kernel("act", wide, reads=(5,)),
            Kernel("conv", out, wide * s["channels"], reads=(6,)),
            Kernel("norm", out, reads=(7,)),
            Kernel("mul", out, reads=(8,)),
            Kernel("add", out, reads=(3, 9)),
        ]

    @classmethod
    def forward(cls, x: Tensor, p: Parts, s: Mapping[str, int], ops: Ops) -> Tensor:
        x = x + ops.scale(ops.neighbours(x) - x, p, "pool_scale")
        return x + cls._mlp(x, p, s, ops)

    @classmethod
    def _mlp(cls, x: Tensor, p: Parts, s: Mapping[str, int], ops: Ops) -> Tensor:
        y = ops.conv(x, p["expand_weight"], bias=p["expand_bias"])
        y = ops.batch_norm(y, p, "expand_bn")
        y = ops.act(y, s["act"])
        y = ops.conv(y, p["project_weight"], bias=p["project_bias"])
        y = ops.batch_norm(y, p, "project_bn")
        return ops.scale(y, p, "project_scale")


class MB3D(Unit):
    """Attention over all tokens, then two linear layers."""

    kind = "mb3d"
    takes = "tokens"
    fields = {
        **_COMMON,
        "heads": Field(default=8, about="attention heads"),
        "qk_dim": Field(default=32, about="query and key channels per head"),
        "v_ratio": Field(default=4, about="value over query channels"),
    }
    keys = ("h", "w", "channels", "heads", "qk_dim", "v_dim", "hidden", "act")
    folds = {"join": ("join_scale",), "project": ("project_scale",)}

    @classmethod
    def plan(cls, inp: Interface, fields: Mapping[str, Num]) -> tuple[dict[str, Num], Interface]:
        sizes = {
            "h": inp.h,
            "w": inp.w,
            "channels": inp.channels,
            "heads": fields["heads"],
            "qk_dim": fields["qk_dim"],
            "v_dim": fields["v_ratio"] * fields["qk_dim"],
            "hidden": fields["mlp_ratio"] * fields["width"],
            "act": fields["act"],
        }
        return sizes, inp

    @classmethod
    def weights(cls, s: Sizes) -> dict[str, Weight]:
        c, heads, qk, v, hidden = s["channels"], s["heads"], s["qk_dim"], s["v_dim"], s["hidden"]
        return {
            **affine("norm", c),
            "q_weight": Weight((heads, qk, c), decay=True),
            "q_bias": Weight((heads, qk), "zeros"),
            "k_weight": Weight((heads, qk, c), decay=True),
            "k_bias": Weight((heads, qk), "zeros"),
            "v_weight": Weight((heads, v, c), decay=True),
            "v_bias": Weight((heads, v), "zeros"),
            "distance_bias": Weight((heads, s["h"], s["w"]), "zeros"),
            "join_weight": Weight((c, heads, v), decay=True),
            "join_bias": Weight((c,), "zeros"),
            **layer_scale("join_scale", c),
            **affine("mlp_norm", c),
            "expand_weight": Weight((hidden, c), decay=True),
            "expand_bias": Weight((hidden,), "zeros"),
            "project_weight": Weight((c, hidden), decay=True),
            "project_bias": Weight((c,), "zeros"),
            **layer_scale("project_scale", c),
        }

    @classmethod
    def kernels(cls, s: Sizes) -> list[Kernel]:
        n, c, heads = s["h"] * s["w"], s["channels"], s["heads"]
        qk, v, wide, out = heads * s["qk_dim"], heads * s["v_dim"], n * s["hidden"], n * c
        scores = heads * n * n
        moved = (heads != 1) & (n != 1)
        kept = (heads == 1) | (n == 1)
        return [
            Kernel("norm", out),
            Kernel("matmul", n * v, n * c * v, reads=(0,)),
            Kernel("matmul", n * qk, n * c * qk, reads=(0,)),
            Kernel("matmul", n * qk, n * c * qk, reads=(0,)),
            Kernel("gather", scores),
            Kernel("matmul", scores, n * n * qk, reads=(2, 3, 4)),
            Kernel("softmax", scores, reads=(5,)),
            Kernel("matmul", n * v, n * n * v, reads=(1, 6)),
            Kernel("copy", when(moved, n * v), reads=(7,)),
            Kernel("matmul", out, out * v, reads=((7, kept), 8)),
            Kernel("mul", out, reads=(9,)),
            Kernel("add", out, reads=(10,)),
            Kernel("norm", out, reads=(11,)),
            Kernel("matmul", wide, wide * c, reads=(12,)),
            Kernel("act", wide, reads=(13,)),
            Kernel("matmul", out, wide * c, reads=(14,)),
            Kernel("mul", out, reads=(15,)),
            Kernel("add", out, reads=(11, 16)),
        ]

    @classmethod
    def forward(cls, x: Tensor, p: Parts, s: Mapping[str, int], ops: Ops) -> Tensor:
        x = x + cls._attention(x, p, ops)
        return x + cls._mlp(x, p, s, ops)

    @classmethod
    def _attention(cls, x: Tensor, p: Parts, ops: Ops) -> Tensor:
        x = ops.token_norm(x, p, "norm", LAYER_NORM)
        batch = x.shape[0]
        v = ops.heads_linear(x, p["v_weight"], p["v_bias"])
        q = ops.heads_linear(x, p["q_weight"], p["q_bias"])
        k = ops.heads_linear(x, p["k_weight"], p["k_bias"])
        del x
        weights = ops.biased_scores(q, k, ops.distances(p["distance_bias"]))
        del q, k
        weights = weights.softmax(-1)
        y = ops.weigh(v, weights)
        del v, weights
        y = ops.join_heads(y, batch)
        y = ops.linear(y, p["join_weight"].flatten(1), p["join_bias"])
        return ops.scale(y, p, "join_scale")

    @classmethod
    def _mlp(cls, x: Tensor, p: Parts, s: Mapping[str, int], ops: Ops) -> Tensor:
        y = ops.token_norm(x, p, "mlp_norm", LAYER_NORM)
        y = ops.linear(y, p["expand_weight"], p["expand_bias"])
        y = ops.act(y, s["act"])
        y = ops.linear(y, p["project_weight"], p["project_bias"])
        return ops.scale(y, p, "project_scale")
