"""First convolution: k×k conv, batch norm, activation (ElasticViT's stage 0a)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from nas.arith import Num, ceil_div
from nas.blocks.base import ACTIVATIONS, Field, Interface, Kernel, Parts, Sizes, Unit, Weight
from nas.blocks.norms import batch_norm

if TYPE_CHECKING:
    from torch import Tensor

    from nas.blocks.ops import Ops


class ConvStem(Unit):
    """Dense convolution with padding k//2 and no bias, batch norm, activation."""

    kind = "conv_stem"
    fields = {
        "width": Field(about="output channels"),
        "kernel": Field(default=3, odd=True, about="odd kernel side"),
        "act": Field(default="hard_swish", words=ACTIVATIONS),
    }
    keys = ("h", "w", "cin", "cout", "kernel", "stride", "act")
    strides = ()
    folds = {"conv": ("bn",)}

    @classmethod
    def plan(cls, inp: Interface, fields: Mapping[str, Num]) -> tuple[dict[str, Num], Interface]:
        stride = fields["stride"]
        sizes = {
            "h": inp.h,
            "w": inp.w,
            "cin": inp.channels,
            "cout": fields["width"],
            "kernel": fields["kernel"],
            "stride": stride,
            "act": fields["act"],
        }
        out = Interface("map", fields["width"], ceil_div(inp.h, stride), ceil_div(inp.w, stride))
        return sizes, out

    @classmethod
    def weights(cls, s: Sizes) -> dict[str, Weight]:
        kernel = Weight((s["cout"], s["cin"], s["kernel"], s["kernel"]), "conv", crop=True)
        return {"conv_weight": kernel, **batch_norm("bn", s["cout"])}

    @classmethod
    def kernels(cls, s: Sizes) -> list[Kernel]:
        out = s["cout"] * ceil_div(s["h"], s["stride"]) * ceil_div(s["w"], s["stride"])
        return [
            Kernel("conv", out, out * s["cin"] * s["kernel"] * s["kernel"]),
            Kernel("norm", out, reads=(0,)),
            Kernel("act", out, reads=(1,)),
        ]

    @classmethod
    def forward(cls, x: Tensor, p: Parts, s: Mapping[str, int], ops: Ops) -> Tensor:
        x = ops.conv(x, p["conv_weight"], stride=s["stride"], bias=p.get("conv_bias"))
        x = ops.batch_norm(x, p, "bn")
        return ops.act(x, s["act"])
