"""Patch embedding: a strided convolution and a learned position for every token (Hiera, arXiv 2306.00989).

The convolution overlaps (7×7 with stride 4 as published); positions are added once, here, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from nas.arith import Num, ceil_div
from nas.blocks.base import Field, Interface, Kernel, Parts, Sizes, Unit, Weight

if TYPE_CHECKING:
    from torch import Tensor

    from nas.blocks.ops import Ops


class PatchEmbed(Unit):
    """Dense convolution with padding k//2 and a bias, plus a table of positions `(channels, h, w)`."""

    kind = "patch_embed"
    fields = {
        "width": Field(about="output channels"),
        "kernel": Field(default=7, odd=True, about="odd kernel side"),
    }
    keys = ("h", "w", "cin", "cout", "kernel", "stride")
    strides = ()

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
        }
        return sizes, Interface("map", fields["width"], ceil_div(inp.h, stride), ceil_div(inp.w, stride))

    @classmethod
    def weights(cls, s: Sizes) -> dict[str, Weight]:
        h, w = ceil_div(s["h"], s["stride"]), ceil_div(s["w"], s["stride"])
        return {
            "conv_weight": Weight(
                (s["cout"], s["cin"], s["kernel"], s["kernel"]), "conv", crop=True, decay=True
            ),
            "conv_bias": Weight((s["cout"],), "zeros"),
            "position": Weight((s["cout"], h, w), crop=True),
        }

    @classmethod
    def kernels(cls, s: Sizes) -> list[Kernel]:
        out = s["cout"] * ceil_div(s["h"], s["stride"]) * ceil_div(s["w"], s["stride"])
        return [
            Kernel("conv", out, out * s["cin"] * s["kernel"] * s["kernel"]),
            Kernel("add", out, reads=(0,)),
        ]

    @classmethod
    def forward(cls, x: Tensor, p: Parts, s: Mapping[str, int], ops: Ops) -> Tensor:
        return ops.conv(x, p["conv_weight"], s["stride"], bias=p["conv_bias"]) + p["position"]
