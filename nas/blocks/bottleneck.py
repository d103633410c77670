"""Bottlenecks of convolutions on maps, as most networks for phones have them, each family with settings of its own.

* `inverted_bottleneck`: 1×1 to the inner width, k×k depth-wise, optional squeeze-and-excitation, 1×1 (MobileNetV2,
  arXiv 1801.04381). An `expansion` of 1 leaves the first convolution out.
* `fused_bottleneck`: k×k to the inner width, 1×1 (EfficientNetV2, arXiv 2104.00298); with an expansion of 1 one k×k.
* `residual_conv`: k×k to the inner width, k×k (ResNet; EfficientViT, arXiv 2205.14756; FasterViT, arXiv 2306.06189).

The shortcut is there where neither sides nor channels change, unless `shortcut: none`. The last norm of the branch
beside it starts at zero, so that deeper subnets of a supernet begin as shallower ones.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from nas.arith import Num, divisible, where
from nas.blocks.base import (
    ACTIVATIONS,
    GATES,
    PADDINGS,
    Field,
    Init,
    Member,
    Unit,
    act,
    block_of,
    eps_of,
    epsilon,
    width,
)
from nas.blocks.layouts import Interface
from nas.blocks.operations import Operations
from nas.blocks.sizes import Sizes

NORMED, SHORTCUTS, OF = ("all", "last"), ("same", "none"), ("input", "output")
SE_OF = ("input", "hidden")
LAST, NONE = NORMED.index("last"), SHORTCUTS.index("none")
_SHARED = {
    "width": width("output channels"),
    "kernel": Field(default=3, odd=True, about="odd kernel side"),
    "expansion": Field(default=4, about="inner width over that of `expand_of`"),
    "expand_of": Field(default="input", words=OF, about="whose width the expansion multiplies"),
    "act": act("relu"),
    "norms": Field(default="all", words=NORMED, about="last: the others have a bias instead of a batch norm"),
    "shortcut": Field(default="same", words=SHORTCUTS, about="same: where neither sides nor channels change"),
    "act_after": Field(default="none", words=ACTIVATIONS, about="activation behind the sum"),
    "padding": Field(default="symmetric", words=PADDINGS, about="how kernels of a stride are centred"),
    "eps": epsilon(5),
}
_SE = {
    "se": Field(default=0, low=0, about="0: none; n: squeeze to an n-th of the width of `se_of`"),
    "se_of": Field(default="hidden", words=SE_OF, about="whose width is squeezed"),
    "se_round": Field(default=1, about="the squeezed width is a multiple of it"),
    "se_act": act("relu"),
    "gate": Field(default="sigmoid", words=GATES, about="what the gates are made by"),
}
_KEYS = ("h", "w", "cin", "cout", "kernel", "stride", "hidden", "expanded")
_OPTIONS = ("act", "norms", "shortcut", "act_after", "padding", "eps")


class Bottleneck(Unit):
    """What the three share: the inner width, the shortcut, the activation behind it."""

    strides = (1, 2)
    squeezes: ClassVar[bool] = False
    decay: ClassVar[bool] = True

    @classmethod
    def sizes(cls, inp: Interface, f: Sizes) -> Mapping[str, Num]:
        hidden = f.expansion * where(f.expand_of == OF.index("input"), inp.channels, f.width)
        direct = (f.expansion == 1) & (f.expand_of == OF.index("input"))
        sizes = {"hidden": hidden, "expanded": where(direct, 0, 1)}
        if not cls.squeezes:
            return sizes
        of = where(f.se_of == SE_OF.index("input"), inp.channels, hidden)
        squeezed = divisible(of // where(f.se == 0, 1, f.se), f.se_round)
        return {**sizes, "squeezed": where(f.se == 0, 0, squeezed)}

    @classmethod
    def forward(cls, x: Any, s: Sizes, ops: Operations) -> Any:
        kept = s.shortcut != NONE and s.stride == 1 and s.cin == s.cout
        y = cls.branch(x, s, ops, "zeros" if kept else "ones")
        return ops.act(x + y if kept else y, s.act_after)

    @classmethod
    @abstractmethod
    def branch(cls, x: Any, s: Sizes, ops: Operations, gamma: Init) -> Any:
        """What is added to the input; `gamma` is the start of its last norm's factor."""

    @classmethod
    def inner(
        cls, name: str, x: Any, out: Num, s: Sizes, ops: Operations, *shape: Num, depthwise: bool = False
    ) -> Any:
        """A convolution of `shape` (kernel, stride) with its norm or bias, and the activation."""
        more: dict[str, Any] = {"depthwise": depthwise, "decay": cls.decay, "far": s.padding}
        if s.norms == LAST:
            return ops.act(ops.conv(name, x, out, *shape, bias=True, **more), s.act)
        more |= {"eps": eps_of(s), "bias": bool(s.get("bias", 0))}
        return ops.act(ops.conv_norm(name, x, out, *shape, **more), s.act)


class InvertedBottleneck(Bottleneck):
    """1×1 expansion, depth-wise convolution, optional squeeze-and-excitation, 1×1 projection."""

    kind = "inverted_bottleneck"
    fields = {**_SHARED, **_SE}
    keys: ClassVar[tuple[str, ...]] = (*_KEYS, "squeezed", *_OPTIONS, "se_act", "gate")
    squeezes = True

    @classmethod
    def branch(cls, x: Any, s: Sizes, ops: Operations, gamma: Init) -> Any:
        inner, y = s.cin, x
        if s.expanded:
            inner = s.hidden
            y = cls.inner("expand", x, inner, s, ops)
        return cls.squeezed_projection(cls.middle(y, inner, s, ops), s, ops, gamma)

    @classmethod
    def middle(cls, y: Any, inner: Num, s: Sizes, ops: Operations) -> Any:
        """The depth-wise convolution with what follows it before the gates."""
        return cls.inner("depthwise", y, inner, s, ops, s.kernel, s.stride, depthwise=True)

    @classmethod
    def squeezed_projection(cls, y: Any, s: Sizes, ops: Operations, gamma: Init) -> Any:
        """Squeeze-and-excitation, if there is one, and the projection."""
        if s.squeezed != 0:
            y = ops.squeeze_excite(y, s.squeezed, act=s.se_act, gate=GATES[s.gate])
        return ops.conv_norm("project", y, s.cout, gamma=gamma, decay=cls.decay, eps=eps_of(s))


class FusedBottleneck(InvertedBottleneck):
    """A convolution to the inner width, optional squeeze-and-excitation, 1×1; unexpanded, one convolution."""

    kind = "fused_bottleneck"

    @classmethod
    def branch(cls, x: Any, s: Sizes, ops: Operations, gamma: Init) -> Any:
        if not s.expanded:
            y = ops.conv_norm("fused", x, s.cout, s.kernel, s.stride, eps=eps_of(s), far=s.padding)
            return ops.act(y, s.act)
        y = cls.inner("expand", x, s.hidden, s, ops, s.kernel, s.stride)
        return cls.squeezed_projection(y, s, ops, gamma)


class ResidualConv(Bottleneck):
    """Two dense convolutions, the stride in the first."""

    kind = "residual_conv"
    fields = {
        **_SHARED,
        "expansion": Field(default=1),
        "scale": Field(default=0, low=0, high=1, about="layer scale: 0 or 1"),
        "bias": Field(default=0, low=0, high=1, about="a bias before each norm, as some train it: 0 or 1"),
    }
    keys = (*_KEYS, *_OPTIONS, "scale", "bias")

    @classmethod
    def branch(cls, x: Any, s: Sizes, ops: Operations, gamma: Init) -> Any:
        y = cls.inner("first", x, s.hidden, s, ops, s.kernel, s.stride)
        start: Init = "ones" if s.scale else gamma
        more: dict[str, Any] = {"eps": eps_of(s), "bias": bool(s.bias), "scale": bool(s.scale)}
        return ops.conv_norm("second", y, s.cout, s.kernel, gamma=start, **more)


PARTS = (
    InvertedBottleneck,
    FusedBottleneck,
    ResidualConv,
    # ResNet's, beside blocks that read an expansion of another order of size.
    block_of("basic", Member("residual_conv", ResidualConv, {"expansion": "inner"})),
)
