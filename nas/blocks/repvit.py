"""RepViT's token mixer and its down-sampler's convolutions.

Source: RepViT (arXiv 2307.09283), section 3, and its code. A block is `rep_mixer`, then `map_ffn`; a down-sampler is
both, then `separable` with the stride and another `map_ffn`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nas.arith import Num, nearest, where
from nas.blocks.base import GATES, Field, Member, Unit, act, block_of
from nas.blocks.base import width as width_field
from nas.blocks.layouts import Interface
from nas.blocks.map_parts import MapFFN
from nas.blocks.operations import Operations
from nas.blocks.sizes import Sizes

NORMS = ("behind", "branches")
BEHIND = NORMS.index("behind")


class RepMixer(Unit):
    """A depth-wise k×k and 1×1 convolution and the identity, one convolution when deployed; optional channel gates.

    `norms: behind` (M0.6 to M2.3) has a norm behind the sum, and a bias in the 1×1 branch; `branches` (M1 to M3) has a
    norm in each branch instead. Branches start at zero, which is ours: a random 1×1 branch turns the sign of some
    channels, and networks of different depth, in which they are turned differently often, could not share weights.
    """

    kind = "rep_mixer"
    fields = {
        "kernel": Field(default=3, odd=True, about="odd kernel side"),
        "norms": Field(default="behind", words=NORMS, about="norms behind the sum, or in the branches alone"),
        "se": Field(default=0, low=0, about="0: none; n: squeeze to an n-th of the channels"),
        "se_round": Field(default=8, about="the squeezed width is a multiple of it"),
        "se_act": act("relu"),
        "gate": Field(default="sigmoid", words=GATES, about="what the gates are made by"),
    }
    keys = ("h", "w", "channels", "kernel", "norms", "squeezed", "se_act", "gate")

    @classmethod
    def sizes(cls, inp: Interface, f: Sizes) -> Mapping[str, Num]:
        squeezed = nearest(inp.channels // where(f.se == 0, 1, f.se), f.se_round)
        return {"squeezed": where(f.se == 0, 0, squeezed)}

    @classmethod
    def forward(cls, x: Any, s: Sizes, ops: Operations) -> Any:
        behind = s.norms == BEHIND
        y = ops.rep_conv(
            "mix",
            x,
            s.channels,
            (s.kernel, 1),
            depthwise=True,
            identity=True,
            norm=behind,
            bare=(1,) if behind else (),
            gamma="zeros",
        )
        if s.squeezed != 0:
            y = ops.squeeze_excite(y, s.squeezed, act=s.se_act, gate=GATES[s.gate])
        return y


class Separable(Unit):
    """A depth-wise convolution to another number of pixels, then a 1×1 one to another number of channels."""

    kind = "separable"
    fields = {
        "width": width_field("output channels"),
        "kernel": Field(default=3, odd=True, about="odd kernel side"),
    }
    keys = ("h", "w", "cin", "cout", "kernel", "stride")
    strides = ()

    @classmethod
    def forward(cls, x: Any, s: Sizes, ops: Operations) -> Any:
        y = ops.conv_norm("depthwise", x, s.cin, s.kernel, s.stride, depthwise=True)
        return ops.conv_norm("project", y, s.cout)


PARTS = (
    RepMixer,
    Separable,
    block_of("repvit", RepMixer, MapFFN),
    block_of(
        "repvit_downsample",
        Member("before", RepMixer, fixed={"se": 0, "se_round": 1, "se_act": 0, "gate": 0}),
        Member("before_ffn", MapFFN, {"width": "before_width"}),
        Separable,
        MapFFN,
    ),
)
