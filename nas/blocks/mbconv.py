"""MBConv with squeeze-and-excitation: ElasticViT's convolution block.

Source: ElasticViT (arXiv 2303.09730), published code `models/cnn.py`: 1×1 expansion to `cin·expansion`, k×k
depth-wise, optional SE, 1×1 linear projection, each with batch norm. The shortcut is always there: average
pooling where the stride is 2, and a 1×1 convolution without norm where the widths differ. The last scale
starts at 0 where the stride is 1, at 1 where it is 2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from nas.arith import Num, ceil_div, maximum
from nas.blocks.base import ACTIVATIONS, Field, Init, Interface, Kernel, Parts, Sizes, Unit, Weight, when
from nas.blocks.norms import batch_norm

if TYPE_CHECKING:
    from torch import Tensor

    from nas.blocks.ops import Ops

SE_REDUCTION = 4


class MBConv(Unit):
    """Inverted bottleneck; an expansion of 1 leaves the first 1×1 convolution out."""

    kind = "mbconv"
    fields = {
        "width": Field(about="output channels"),
        "kernel": Field(default=3, odd=True, about="odd side of the depth-wise kernel"),
        "expansion": Field(default=4, about="inner width over input width"),
        "se": Field(default=0, low=0, high=1, about="squeeze-and-excitation: 0 or 1"),
        "act": Field(default="hard_swish", words=ACTIVATIONS),
    }
    keys = ("h", "w", "cin", "cout", "kernel", "stride", "expansion", "se", "act")
    strides = (1, 2)
    folds = {"expand": ("expand_bn",), "depthwise": ("depthwise_bn",), "project": ("project_bn",)}

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
            "expansion": fields["expansion"],
            "se": fields["se"],
            "act": fields["act"],
        }
        out = Interface("map", fields["width"], ceil_div(inp.h, stride), ceil_div(inp.w, stride))
        return sizes, out

    @classmethod
    def weights(cls, s: Sizes) -> dict[str, Weight]:
        cin, cout, inner = s["cin"], s["cout"], s["cin"] * s["expansion"]
        grows, squeezed = s["expansion"] != 1, _squeezed(inner)
        gated = when(s["se"] == 1, inner)
        last: Init = "ones" if _strided(s["stride"]) else "zeros"
        return {
            "expand_weight": Weight((when(grows, inner), cin, 1, 1), "conv"),
            **batch_norm("expand_bn", when(grows, inner)),
            "depthwise_weight": Weight((inner, 1, s["kernel"], s["kernel"]), "conv", crop=True),
            **batch_norm("depthwise_bn", inner),
            "squeeze_weight": Weight((squeezed, gated, 1, 1), "conv"),
            "squeeze_bias": Weight((when(s["se"] == 1, squeezed),), "zeros"),
            "excite_weight": Weight((gated, squeezed, 1, 1), "conv"),
            "excite_bias": Weight((gated,), "zeros"),
            "project_weight": Weight((cout, inner, 1, 1), "conv"),
            **batch_norm("project_bn", cout, last),
            "shortcut_weight": Weight((when(cin != cout, cout), cin, 1, 1), "conv"),
        }

    @classmethod
    def kernels(cls, s: Sizes) -> list[Kernel]:
        cin, cout, inner = s["cin"], s["cout"], s["cin"] * s["expansion"]
        pixels = s["h"] * s["w"]
        pixels_out = ceil_div(s["h"], s["stride"]) * ceil_div(s["w"], s["stride"])
        grows, gated, widens = s["expansion"] != 1, s["se"] == 1, cin != cout
        squeezed, plain, same = _squeezed(inner), s["se"] != 1, cin == cout
        expanded, mixed, out = when(grows, inner * pixels), inner * pixels_out, cout * pixels_out
        pooled = when(s["stride"] != 1, cin * pixels_out)
        return [
            Kernel("conv", expanded, when(grows, inner * cin * pixels)),
            Kernel("norm", expanded, reads=(0,)),
            Kernel("act", expanded, reads=(1,)),
            Kernel("depthwise", mixed, mixed * s["kernel"] * s["kernel"], reads=(2,)),
            Kernel("norm", mixed, reads=(3,)),
            Kernel("act", mixed, reads=(4,)),
            Kernel("pool", when(gated, inner), reads=(5,)),
            Kernel("conv", when(gated, squeezed), when(gated, inner * squeezed), reads=(6,)),
            Kernel("act", when(gated, squeezed), reads=(7,)),
            Kernel("conv", when(gated, inner), when(gated, inner * squeezed), reads=(8,)),
            Kernel("act", when(gated, inner), reads=(9,)),
            Kernel("mul", when(gated, mixed), reads=(5, 10)),
            Kernel("conv", out, mixed * cout, reads=((5, plain), 11)),
            Kernel("norm", out, reads=(12,)),
            Kernel("pool", pooled),
            Kernel("conv", when(widens, out), when(widens, cin * out), reads=(-1, 14)),
            Kernel("add", out, reads=(13, (14, same), 15)),
        ]

    @classmethod
    def forward(cls, x: Tensor, p: Parts, s: Mapping[str, int], ops: Ops) -> Tensor:
        y = cls._mix(x, p, s, ops)
        y = ops.conv(y, p["project_weight"], bias=p.get("project_bias"))
        y = ops.batch_norm(y, p, "project_bn")
        return y + cls._shortcut(x, p, s, ops)

    @classmethod
    def _mix(cls, x: Tensor, p: Parts, s: Mapping[str, int], ops: Ops) -> Tensor:
        if s["expansion"] != 1:
            x = ops.conv(x, p["expand_weight"], bias=p.get("expand_bias"))
            x = ops.batch_norm(x, p, "expand_bn")
            x = ops.act(x, s["act"])
        x = ops.conv(x, p["depthwise_weight"], s["stride"], depthwise=True, bias=p.get("depthwise_bias"))
        x = ops.batch_norm(x, p, "depthwise_bn")
        x = ops.act(x, s["act"])
        return ops.squeeze_excite(x, p) if s["se"] else x

    @classmethod
    def _shortcut(cls, x: Tensor, p: Parts, s: Mapping[str, int], ops: Ops) -> Tensor:
        if s["stride"] != 1:
            x = ops.halve(x)
        return ops.conv(x, p["shortcut_weight"]) if s["cin"] != s["cout"] else x


def _squeezed(inner: Num) -> Num:
    return maximum(inner // SE_REDUCTION, 1)


def _strided(stride: Any) -> bool:
    value = getattr(stride, "value", stride)
    return bool(np.all(np.asarray(value) != 1))
