"""Layout converters between maps `(B, C, H, W)` and tokens `(B, H·W, C)`.

With channels-last maps both are views. They are layers of their own so that a device on which they cost
time can say so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from nas.arith import Num
from nas.blocks.base import Interface, Kernel, Parts, Sizes, Unit, Weight

if TYPE_CHECKING:
    from torch import Tensor

    from nas.blocks.ops import Ops


class ToTokens(Unit):
    """Map to tokens, row by row."""

    kind = "to_tokens"
    keys = ("h", "w", "channels")

    @classmethod
    def plan(cls, inp: Interface, fields: Mapping[str, Num]) -> tuple[dict[str, Num], Interface]:
        return {"h": inp.h, "w": inp.w, "channels": inp.channels}, inp.with_(layout="tokens")

    @classmethod
    def weights(cls, s: Sizes) -> dict[str, Weight]:
        return {}

    @classmethod
    def kernels(cls, s: Sizes) -> list[Kernel]:
        return [Kernel("copy", 0)]

    @classmethod
    def forward(cls, x: Tensor, p: Parts, s: Mapping[str, int], ops: Ops) -> Tensor:
        return x.permute(0, 2, 3, 1).flatten(1, 2)


class ToMap(ToTokens):
    """Tokens to a map."""

    kind = "to_map"
    takes = "tokens"

    @classmethod
    def plan(cls, inp: Interface, fields: Mapping[str, Num]) -> tuple[dict[str, Num], Interface]:
        return {"h": inp.h, "w": inp.w, "channels": inp.channels}, inp.with_(layout="map")

    @classmethod
    def forward(cls, x: Tensor, p: Parts, s: Mapping[str, int], ops: Ops) -> Tensor:
        return x.unflatten(1, (s["h"], s["w"])).permute(0, 3, 1, 2)
