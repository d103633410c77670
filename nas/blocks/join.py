"""Join: up to four maps of any sides and widths as one, as the neck of a dense network does.

Each map passes through a 1×1 convolution with batch norm to a common width and is resized, bilinearly, to the sides of
the first; their sum is handed on. The pattern is that of feature pyramids (arXiv 1612.03144) and of EfficientViT's
segmentation head (arXiv 2205.14756).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nas.arith import Num
from nas.blocks.base import Unit, act, refuse, width
from nas.blocks.layouts import MAP, Interface
from nas.blocks.operations import Operations
from nas.blocks.sizes import Sizes

MOST = 4


class Join(Unit):
    """The sum of several maps at the first one's sides."""

    kind = "join"
    fields = {"width": width("output channels"), "act": act("none")}
    keys = (
        *("h", "w", "cin"),
        *(f"{name}{index}" for index in range(1, MOST) for name in ("h", "w", "cin")),
        *("cout", "act"),
    )
    joins = True

    @classmethod
    def plan(cls, inp: Sequence[Interface], fields: Mapping[str, Num]) -> tuple[dict[str, Num], Interface]:
        refuse(len(inp) > MOST, f"block 'join' takes up to {MOST} streams, not {len(inp)}")
        sizes: dict[str, Num] = dict.fromkeys(cls.keys, 0)
        for index, each in enumerate(inp):
            end = str(index) if index else ""
            sizes |= {f"h{end}": each.h, f"w{end}": each.w, f"cin{end}": each.channels}
        sizes |= {"cout": fields["width"], "act": fields["act"]}
        return sizes, inp[0].with_(channels=fields["width"])

    @classmethod
    def inputs(cls, s: Mapping[str, Num]) -> tuple[Interface, ...]:
        there = ["", *(str(index) for index in range(1, MOST) if s[f"cin{index}"] != 0)]
        return tuple(Interface(MAP, s[f"cin{end}"], s[f"h{end}"], s[f"w{end}"]) for end in there)

    @classmethod
    def forward(cls, x: Any, s: Sizes, ops: Operations) -> Any:
        total = ops.conv_norm("project", x[0], s.cout)
        for index, y in enumerate(x[1:], 1):
            y = ops.conv_norm(f"project{index}", y, s.cout)
            if s[f"h{index}"] != s.h or s[f"w{index}"] != s.w:
                y = ops.resize(y, s.h, s.w)
            total = total + y
        return ops.act(total, s.act)


PARTS = (Join,)
