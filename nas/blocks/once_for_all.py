"""The inverted bottleneck of Once-for-all's MobileNetV3 (Cai et al., arXiv 1908.09791), whose kernels are made of 7×7.

1×1 to the inner width, depth-wise k×k, squeeze-and-excitation or none, 1×1, each convolution with batch norm; the
shortcut is there where neither sides nor channels change. Inner and squeezed widths are multiples of 8. While it is
trained, a 5×5 kernel is the centre of the 7×7 one times a learned matrix, a 3×3 kernel that of the 5×5 one; deployed,
it is one k×k convolution like any.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nas.arith import Num, divisible, where
from nas.blocks.base import ACTIVATIONS, GATES, PADDINGS, Field, act, eps_of, epsilon, width
from nas.blocks.bottleneck import NORMED, SHORTCUTS, InvertedBottleneck
from nas.blocks.layouts import Interface
from nas.blocks.operations import Operations
from nas.blocks.sizes import Sizes

KERNELS = (7, 5, 3)
ROUND, REDUCTION = 8, 4
AS_PUBLISHED = {
    "expanded": 1,
    "norms": NORMED.index("all"),
    "shortcut": SHORTCUTS.index("same"),
    "act_after": ACTIVATIONS.index("none"),
    "padding": PADDINGS.index("symmetric"),
    "se_act": ACTIVATIONS.index("relu"),
    "gate": GATES.index("hard_sigmoid"),
}
"""What other inverted bottlenecks set and this one does not."""


def squeezed_of(hidden: Num) -> Num:
    """Width between the two layers of squeeze-and-excitation."""
    return divisible(hidden // REDUCTION, ROUND)


class OnceForAll(InvertedBottleneck):
    """1×1, depth-wise k×k with k of 7, 5 or 3, gates or none, 1×1."""

    kind = "ofa_bottleneck"
    fields = {
        "width": width("output channels"),
        "kernel": Field(default=7, low=3, high=7, odd=True, about="side of the depth-wise kernel: 3, 5 or 7"),
        "expansion": Field(default=6, about="inner width over input channels"),
        "se": Field(default=0, low=0, high=1, about="squeeze-and-excitation: 0 or 1"),
        "act": act("relu"),
        "eps": epsilon(5),
    }
    keys = ("h", "w", "cin", "cout", "kernel", "stride", "hidden", "squeezed", "act", "eps")

    @classmethod
    def sizes(cls, inp: Interface, f: Sizes) -> Mapping[str, Num]:
        hidden = divisible(f.expansion * inp.channels, ROUND)
        return {"hidden": hidden, "squeezed": where(f.se == 0, 0, squeezed_of(hidden))}

    @classmethod
    def forward(cls, x: Any, s: Sizes, ops: Operations) -> Any:
        return super().forward(x, Sizes({**AS_PUBLISHED, **s}), ops)

    @classmethod
    def middle(cls, y: Any, inner: Num, s: Sizes, ops: Operations) -> Any:
        z = ops.shrunk_conv_norm("depthwise", y, s.kernel, s.stride, kernels=KERNELS, eps=eps_of(s))
        return ops.act(z, s.act)


PARTS = (OnceForAll,)
