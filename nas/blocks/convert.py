"""Layout converters between maps `(B, C, H, W)` and tokens `(B, H·W, C)`.

With channels-last maps both are views. They are layers of their own so that a device on which they cost
time can say so.
"""

from __future__ import annotations

from typing import Any

from nas.blocks.base import Unit, block_of, refuse
from nas.blocks.layouts import MAP, TOKENS, Interface
from nas.blocks.operations import Operations
from nas.blocks.sizes import Sizes


class ToTokens(Unit):
    """Map to tokens, row by row."""

    kind = "to_tokens"
    keys = ("h", "w", "channels")

    @classmethod
    def out(cls, inp: Interface, s: Sizes) -> Interface:
        return inp.with_(layout=TOKENS)

    @classmethod
    def forward(cls, x: Any, s: Sizes, ops: Operations) -> Any:
        return ops.to_tokens(x)


class ToMap(Unit):
    """Tokens to a map."""

    kind = "to_map"
    takes = TOKENS
    keys = ("h", "w", "channels")

    @classmethod
    def out(cls, inp: Interface, s: Sizes) -> Interface:
        refuse(inp.extra("prefix") != 0, "tokens before those of the map have no place on it")
        return inp.with_(layout=MAP)

    @classmethod
    def forward(cls, x: Any, s: Sizes, ops: Operations) -> Any:
        return ops.to_map(x, s.h, s.w)


PARTS = (ToTokens, ToMap, block_of("identity"))
