"""Dense convolution, batch norm, activation: the first layer of most networks, and what leads from stage to stage.

* `conv_stem`: without a bias before the norm (ElasticViT's stage 0a).
* `conv_norm`: with one, as published (EfficientFormer, arXiv 2206.01191; V2, arXiv 2212.08059). Between stages it
  stands alone, without activation ("embedding"); two of stride 2 make the stem.
* `conv_bn`: without one; the norm's epsilon and the padding are as a family has them (EfficientNetV2, TinyViT, …).
"""

from __future__ import annotations

from typing import Any, ClassVar

from nas.blocks.base import PADDINGS, Field, Unit, act, eps_of, epsilon, width
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
    keys: ClassVar[tuple[str, ...]] = ("h", "w", "cin", "cout", "kernel", "stride", "act")
    strides = ()
    bias, decay = False, False

    @classmethod
    def forward(cls, x: Any, s: Sizes, ops: Operations) -> Any:
        more: dict[str, Any] = {"bias": cls.bias, "decay": cls.decay, "norm": "bn"}
        if "eps" in s:
            more |= {"eps": eps_of(s), "far": s.padding}
        return ops.act(ops.conv_norm("conv", x, s.cout, s.kernel, s.stride, **more), s.act)


class ConvNorm(ConvStem):
    """The same with a bias before the norm."""

    kind = "conv_norm"
    fields = {**ConvStem.fields, "act": act("none")}
    bias, decay = True, True


class ConvBN(ConvStem):
    """Without a bias, as a family has its norms and padding."""

    kind = "conv_bn"
    fields = {
        **ConvStem.fields,
        "act": act("none"),
        "padding": Field(default="symmetric", words=PADDINGS, about="how a kernel with a stride is centred"),
        "eps": epsilon(5),
    }
    keys = (*ConvStem.keys, "padding", "eps")
    decay = True


PARTS = (ConvStem, ConvNorm, ConvBN)
