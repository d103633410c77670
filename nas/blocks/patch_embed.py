"""Patch embedding: a strided convolution and a learned position for every token (Hiera, arXiv 2306.00989).

The convolution overlaps (7×7 with stride 4 as published); positions are added once, here, and nowhere else.
"""

from __future__ import annotations

from typing import Any

from nas.arith import ceil_div
from nas.blocks.base import Field, Unit, width
from nas.blocks.operations import Operations
from nas.blocks.sizes import Sizes


class PatchEmbed(Unit):
    """Dense convolution with padding k//2 and a bias, plus a table of positions `(channels, h, w)`."""

    kind = "patch_embed"
    fields = {
        "width": width("output channels"),
        "kernel": Field(default=7, odd=True, about="odd kernel side"),
    }
    keys = ("h", "w", "cin", "cout", "kernel", "stride")
    strides = ()

    @classmethod
    def forward(cls, x: Any, s: Sizes, ops: Operations) -> Any:
        h, w = ceil_div(s.h, s.stride), ceil_div(s.w, s.stride)
        y = ops.conv("conv", x, s.cout, s.kernel, s.stride, bias=True)
        return y + ops.param("position", s.cout, h, w, crop=True)


PARTS = (PatchEmbed,)
