"""EfficientFormer's classifiers: norm, mean over the map, two linear layers whose mean is the answer.

The second layer learns from a teacher (DeiT's distillation, arXiv 2012.12877). V1 normalises tokens by layer
norm, V2 maps by batch norm. Deployed, the two layers are one, and V2's norm is part of it: it is affine, so it
may as well follow the mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from nas.arith import Num
from nas.blocks.base import TOKEN_NORMS, Field, Interface, Kernel, Layout, Parts, Sizes, Unit, Weight, when
from nas.blocks.folding import affine_of
from nas.blocks.norms import affine, batch_norm

if TYPE_CHECKING:
    from torch import Tensor

    from nas.blocks.ops import Ops


class DualHead(Unit):
    """Tokens to class scores: layer norm, mean, classifier and distilled classifier."""

    kind = "dual_head"
    takes: ClassVar[Layout] = "tokens"
    fields = {"distilled": Field(default=1, low=0, high=1, about="a second, distilled classifier: 0 or 1")}
    keys = ("h", "w", "channels", "classes", "distilled")

    @classmethod
    def plan(cls, inp: Interface, fields: Mapping[str, Num]) -> tuple[dict[str, Num], Interface]:
        sizes = {
            "h": inp.h,
            "w": inp.w,
            "channels": inp.channels,
            "classes": fields["classes"],
            "distilled": fields["distilled"],
        }
        return sizes, Interface("vector", fields["classes"], 1, 1)

    @classmethod
    def weights(cls, s: Sizes) -> dict[str, Weight]:
        second = when(s["distilled"] == 1, s["classes"])
        return {
            **cls._norm(s["channels"]),
            "classes_weight": Weight((s["classes"], s["channels"]), decay=True),
            "classes_bias": Weight((s["classes"],), "zeros"),
            "distilled_weight": Weight((second, s["channels"]), decay=True),
            "distilled_bias": Weight((second,), "zeros"),
        }

    @classmethod
    def _norm(cls, channels: Num) -> dict[str, Weight]:
        return affine("norm", channels)

    @classmethod
    def kernels(cls, s: Sizes) -> list[Kernel]:
        c, classes = s["channels"], s["classes"]
        second = when(s["distilled"] == 1, classes)
        return [
            Kernel("norm", s["h"] * s["w"] * c),
            Kernel("pool", c, reads=(0,)),
            Kernel("matmul", classes, c * classes, reads=(1,)),
            Kernel("matmul", second, c * second, reads=(1,)),
            Kernel("add", second, reads=(2, 3)),
            Kernel("mul", second, reads=(4,)),
        ]

    @classmethod
    def forward(cls, x: Tensor, p: Parts, s: Mapping[str, int], ops: Ops) -> Tensor:
        y = cls._pooled(x, p, ops)
        scores = ops.linear(y, p["classes_weight"], p["classes_bias"])
        if "distilled_weight" not in p:
            return scores
        second = ops.linear(y, p["distilled_weight"], p["distilled_bias"])
        del y
        both = scores + second
        del scores, second
        return both * 0.5

    @classmethod
    def _pooled(cls, x: Tensor, p: Parts, ops: Ops) -> Tensor:
        return ops.token_norm(x, p, "norm", TOKEN_NORMS.index("layer_norm")).mean(1)

    @classmethod
    def folded(cls, p: Parts) -> Parts:
        parts = dict(p)
        if "distilled_weight" in parts:
            for end in ("weight", "bias"):
                parts[f"classes_{end}"] = (parts[f"classes_{end}"] + parts.pop(f"distilled_{end}")) / 2
        return cls._without_norm(parts)

    @classmethod
    def _without_norm(cls, parts: dict[str, Any]) -> dict[str, Any]:
        return parts


class DualMapHead(DualHead):
    """A map to class scores: batch norm, mean, classifier and distilled classifier."""

    kind = "dual_map_head"
    takes = "map"

    @classmethod
    def _norm(cls, channels: Num) -> dict[str, Weight]:
        return batch_norm("norm", channels)

    @classmethod
    def _pooled(cls, x: Tensor, p: Parts, ops: Ops) -> Tensor:
        return ops.batch_norm(x, p, "norm").mean((2, 3))

    @classmethod
    def _without_norm(cls, parts: dict[str, Any]) -> dict[str, Any]:
        factor, shift = affine_of(parts, "norm")
        weight, bias = parts["classes_weight"], parts["classes_bias"]
        assert shift is not None
        parts["classes_bias"] = (bias.double() + weight.double() @ shift).to(bias.dtype)
        parts["classes_weight"] = (weight.double() * factor).to(weight.dtype)
        return parts
