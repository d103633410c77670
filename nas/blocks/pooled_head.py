"""ElasticViT's classifier: expand every token, pool, one hidden layer, classes (fact: "mbv3" head).

`linear(c → expansion·c) → batch norm → act → mean over tokens → linear(hidden) → act → linear(classes)`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from nas.arith import Num
from nas.blocks.base import ACTIVATIONS, Field, Interface, Kernel, Parts, Sizes, Unit, Weight
from nas.blocks.norms import batch_norm

if TYPE_CHECKING:
    from torch import Tensor

    from nas.blocks.ops import Ops


class PooledHead(Unit):
    """Tokens to class scores."""

    kind = "pooled_head"
    takes = "tokens"
    fields = {
        "expansion": Field(default=6, about="token expansion before pooling"),
        "hidden": Field(default=1984, about="hidden layer after pooling"),
        "act": Field(default="hard_swish", words=ACTIVATIONS),
    }
    keys = ("h", "w", "channels", "expanded", "hidden", "classes", "act")
    folds = {"expand": ("bn",)}

    @classmethod
    def plan(cls, inp: Interface, fields: Mapping[str, Num]) -> tuple[dict[str, Num], Interface]:
        sizes = {
            "h": inp.h,
            "w": inp.w,
            "channels": inp.channels,
            "expanded": fields["expansion"] * inp.channels,
            "hidden": fields["hidden"],
            "classes": fields["classes"],
            "act": fields["act"],
        }
        return sizes, Interface("vector", fields["classes"], 1, 1)

    @classmethod
    def weights(cls, s: Sizes) -> dict[str, Weight]:
        return {
            "expand_weight": Weight((s["expanded"], s["channels"]), decay=True),
            "expand_bias": Weight((s["expanded"],), "zeros"),
            **batch_norm("bn", s["expanded"]),
            "hidden_weight": Weight((s["hidden"], s["expanded"]), decay=True),
            "hidden_bias": Weight((s["hidden"],), "zeros"),
            "classes_weight": Weight((s["classes"], s["hidden"]), decay=True),
            "classes_bias": Weight((s["classes"],), "zeros"),
        }

    @classmethod
    def kernels(cls, s: Sizes) -> list[Kernel]:
        tokens = s["h"] * s["w"]
        expanded = tokens * s["expanded"]
        return [
            Kernel("matmul", expanded, expanded * s["channels"]),
            Kernel("norm", expanded, reads=(0,)),
            Kernel("act", expanded, reads=(1,)),
            Kernel("pool", s["expanded"], reads=(2,)),
            Kernel("matmul", s["hidden"], s["expanded"] * s["hidden"], reads=(3,)),
            Kernel("act", s["hidden"], reads=(4,)),
            Kernel("matmul", s["classes"], s["hidden"] * s["classes"], reads=(5,)),
        ]

    @classmethod
    def forward(cls, x: Tensor, p: Parts, s: Mapping[str, int], ops: Ops) -> Tensor:
        y = ops.linear(x, p["expand_weight"], p["expand_bias"])
        y = ops.batch_norm_tokens(y, p, "bn")
        y = ops.act(y, s["act"])
        y = y.mean(1)
        y = ops.linear(y, p["hidden_weight"], p["hidden_bias"])
        y = ops.act(y, s["act"])
        return ops.linear(y, p["classes_weight"], p["classes_bias"])
