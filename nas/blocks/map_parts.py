"""Small residual parts on maps: a depth-wise convolution, and a feed-forward network of two 1×1 convolutions.

* `depthwise`: `x + norm(k×k depth-wise(x))`, or without the shortcut (EfficientViT, arXiv 2305.07027; TinyViT, arXiv
  2207.10666, between attention and feed-forward network).
* `map_ffn`: `x + norm(1×1(act(norm(1×1(x)))))` (EfficientViT, arXiv 2305.07027; RepViT, arXiv 2307.09283).

The last norm beside a shortcut starts at zero, as published in both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nas.arith import Num
from nas.blocks.base import SAME_WIDTH, Field, Unit, act, eps_of, epsilon, width_of
from nas.blocks.layouts import Interface
from nas.blocks.operations import Operations
from nas.blocks.sizes import Sizes


class Depthwise(Unit):
    """A depth-wise convolution and its norm, beside a shortcut or not."""

    kind = "depthwise"
    fields = {
        "kernel": Field(default=3, odd=True, about="odd kernel side"),
        "shortcut": Field(default=1, low=0, high=1, about="whether the input is added: 0 or 1"),
        "eps": epsilon(5),
    }
    keys = ("h", "w", "channels", "kernel", "shortcut", "eps")

    @classmethod
    def forward(cls, x: Any, s: Sizes, ops: Operations) -> Any:
        y = ops.conv_norm(
            "conv",
            x,
            s.channels,
            s.kernel,
            depthwise=True,
            gamma="zeros" if s.shortcut else "ones",
            eps=eps_of(s),
        )
        return x + y if s.shortcut else y


class MapFFN(Unit):
    """Two 1×1 convolutions with an activation between, and their residual."""

    kind = "map_ffn"
    fields = {
        "width": SAME_WIDTH,
        "mlp_ratio": Field(default=2, about="hidden over input channels"),
        "act": act("relu"),
        "eps": epsilon(5),
    }
    keys = ("h", "w", "channels", "hidden", "act", "eps")

    @classmethod
    def sizes(cls, inp: Interface, f: Sizes) -> Mapping[str, Num]:
        return {"hidden": f.mlp_ratio * width_of(inp, f)}

    @classmethod
    def forward(cls, x: Any, s: Sizes, ops: Operations) -> Any:
        y = ops.act(ops.conv_norm("expand", x, s.hidden, eps=eps_of(s)), s.act)
        return x + ops.conv_norm("project", y, s.channels, gamma="zeros", eps=eps_of(s))


PARTS = (Depthwise, MapFFN)
