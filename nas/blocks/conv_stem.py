"""Dense convolution, batch norm, activation: the first layer of most networks, and what leads from stage to stage.

* `conv_stem`: without a bias before the norm (ElasticViT's stage 0a).
* `conv_norm`: with one, as published (EfficientFormer, arXiv 2206.01191; V2, arXiv 2212.08059). Between stages it
  stands alone, without activation ("embedding"); two of stride 2 make the stem.
"""

from __future__ import annotations

from typing import Any

from nas.blocks.base import Field, Unit, act, width
from nas.blocks.operations import Operations
from nas.blocks.sizes import Sizes


class ConvStem(Unit):
    """Dense convolution with padding k//2, batch norm, activation."""

    kind = "conv_stem"
    fields = {
        "width": width("output channels"),
        "kernel": Field(default=3, odd=True, about="odd kernel side"),
        "act": act("hard_swish"),
    }
    keys = ("h", "w", "cin", "cout", "kernel", "stride", "act")
    strides = ()
    bias = False

    @classmethod
    def forward(cls, x: Any, s: Sizes, ops: Operations) -> Any:
        y = ops.conv_norm("conv", x, s.cout, s.kernel, s.stride, bias=cls.bias, decay=cls.bias, norm="bn")
        return ops.act(y, s.act)


class ConvNorm(ConvStem):
    """The same with a bias before the norm."""

    kind = "conv_norm"
    fields = {**ConvStem.fields, "act": act("none")}
    bias = True
