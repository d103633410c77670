"""MBConv with squeeze-and-excitation: ElasticViT's convolution block, and the one that leads into a transformer stage.

Source: ElasticViT (arXiv 2303.09730), published code `models/cnn.py`: 1×1 expansion to `cin·expansion`, k×k
depth-wise, optional SE, 1×1 linear projection, each with batch norm. The shortcut is always there: average
pooling where the stride is 2, and a 1×1 convolution without norm where the widths differ. The last scale
starts at 0 where the stride is 1, at 1 where it is 2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nas.arith import Num, maximum
from nas.blocks.base import ACTIVATIONS, GATES, PADDINGS, Field, act, width
from nas.blocks.bottleneck import NORMED, InvertedBottleneck
from nas.blocks.layouts import Interface
from nas.blocks.operations import Operations
from nas.blocks.sizes import Sizes

SE_REDUCTION = 4
AS_PUBLISHED = {
    "norms": NORMED.index("all"),
    "padding": PADDINGS.index("symmetric"),
    "eps": 5,
    "se_act": ACTIVATIONS.index("relu"),
    "gate": GATES.index("hard_sigmoid"),
}
"""What other families set and ElasticViT does not."""


class MBConv(InvertedBottleneck):
    """Inverted bottleneck; an expansion of 1 leaves the first 1×1 convolution out."""

    kind = "mbconv"
    fields = {
        "width": width("output channels"),
        "kernel": Field(default=3, odd=True, about="odd side of the depth-wise kernel"),
        "expansion": Field(default=4, about="inner width over input width"),
        "se": Field(default=0, low=0, high=1, about="squeeze-and-excitation: 0 or 1"),
        "act": act("hard_swish"),
    }
    keys = ("h", "w", "cin", "cout", "kernel", "stride", "expansion", "se", "act")
    strides = (1, 2)

    squeezes = False
    decay = False

    @classmethod
    def sizes(cls, inp: Interface, f: Sizes) -> Mapping[str, Num]:
        return {}

    @classmethod
    def forward(cls, x: Any, s: Sizes, ops: Operations) -> Any:
        inner = s.cin * s.expansion
        squeezed = maximum(inner // SE_REDUCTION, 1) if s.se else 0
        every = Sizes(
            {**AS_PUBLISHED, **s, "hidden": inner, "expanded": s.expansion != 1, "squeezed": squeezed}
        )
        y = cls.branch(x, every, ops, "ones" if s.stride != 1 else "zeros")
        if s.stride != 1:
            x = ops.halve(x)
        return y + (ops.conv("shortcut", x, s.cout, decay=False) if s.cin != s.cout else x)


class Downsample(MBConv):
    """MBConv with the transformer stages' fixed settings as defaults (ElasticViT §2.2).

    A kind of its own because devices' tables time it apart from the convolution stages. It stands in front of every
    transformer stage, with stride 1 where the stage only changes the width.
    """

    kind = "downsample"
    fields = {**MBConv.fields, "expansion": Field(default=6), "se": Field(default=1, low=0, high=1)}


PARTS = (MBConv, Downsample)
