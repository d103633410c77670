"""Unrolled tokens: an order in which every 2×2 pool and every mask unit is a plain reshape.

Source: Hiera (arXiv 2306.00989), section 3 and published code `hiera_utils.py`. A map is cut into squares of
`span`×`span` tokens, `span` a power of two. Tokens are ordered by their place in the square first, the finest bit of
their coordinates outermost, and by the square last:

    (y bit 0, x bit 0), (y bit 1, x bit 1), …, square row, square column

So the four tokens that a pool joins are quarters of the sequence, the tokens of a mask unit of side 2ᵏ differ in the
first k pairs of bits alone, and after a pool the same holds for a span half as large. A span of 1 is row by row.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nas.arith import Num
from nas.blocks.base import Field, Unit, refuse
from nas.blocks.layouts import MAP, UNROLLED, Interface
from nas.blocks.operations import Operations
from nas.blocks.sizes import Sizes


class Unroll(Unit):
    """A map `(B, C, H, W)` as unrolled tokens `(B, H·W, C)`."""

    kind = "unroll"
    fields = {
        "span": Field(default=8, about="side of the squares, a power of two: 8 for three Q-pools"),
        "mask_unit": Field(default=8, about="side in tokens of a mask unit; divides the span"),
    }
    keys = ("h", "w", "channels", "span")

    @classmethod
    def plan(cls, inp: Interface, fields: Mapping[str, Num]) -> tuple[dict[str, Num], Interface]:
        span, unit = fields["span"], fields["mask_unit"]
        refuse(_odd_factor(span) != 1, f"the span of unrolled tokens is a power of two, not {span}")
        refuse(span % unit != 0, f"the mask unit's side {unit} does not divide the span {span}")
        uneven = f"a map of {inp.h}×{inp.w} tokens has no whole squares of {span}×{span}"
        refuse(inp.h % span != 0, uneven)
        refuse(inp.w % span != 0, uneven)
        units = (inp.h // unit) * (inp.w // unit)
        out = inp.with_(layout=UNROLLED, extras={"span": span, "units": units})
        return {"h": inp.h, "w": inp.w, "channels": inp.channels, "span": span}, out

    @classmethod
    def forward(cls, x: Any, s: Sizes, ops: Operations) -> Any:
        return ops.unroll(x, s.span)


class Reroll(Unit):
    """Unrolled tokens `(B, H·W, C)` as a map `(B, C, H, W)`: the inverse at any stage."""

    kind = "reroll"
    takes = UNROLLED
    keys = ("h", "w", "channels", "span")

    @classmethod
    def out(cls, inp: Interface, s: Sizes) -> Interface:
        return Interface(MAP, inp.channels, inp.h, inp.w)

    @classmethod
    def forward(cls, x: Any, s: Sizes, ops: Operations) -> Any:
        return ops.reroll(x, s.h, s.w, s.span)


def _odd_factor(number: Num) -> Num:
    """An integer without its factors of two; other values are passed over as 1."""
    if not isinstance(number, int):
        return 1
    return number // (number & -number)


PARTS = (Unroll, Reroll)
