"""FasterViT's hierarchical attention: windows that hear of each other by way of carrier tokens.

Source: FasterViT (arXiv 2306.06189), figures 3 and 4. A map's windows each have a few carrier tokens. In a block the
carriers of all windows attend to each other, then each window's carriers and pixels together. The scores' bias is a
small network of log-spaced offsets, and pixels and carriers have learned positions from a small network of places; a
deployed network has their tables.

* `carrier_tokens` begins a stage: a depth-wise convolution and a mean give the carriers, which lie before the pixels as
  tokens. A map that is one window has none, and neither has a stage of `carriers: 0`: its windows know nothing of
  each other.
* `hierarchical_attention`: the block.
* `end_carriers` ends the stage: a map again, to which the carriers may be added (`propagate`).
* `norm_conv` leads to the next stage: a layer norm of each pixel, a convolution of stride 2.

Written from the paper; the published code, whose licence forbids commercial use, was not followed. The carriers' first
means are over windows of one size that cover the map.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nas.arith import Num, ceil_div, minimum, where
from nas.blocks.base import Field, Member, Unit, act, block_of, refuse, width
from nas.blocks.layouts import CARRIED, MAP, Interface
from nas.blocks.operations import Operations
from nas.blocks.sizes import Sizes

MAP_EPS = 1e-6  # of the norms of pixels between stages
WINDOW = Field(default=7, about="side of a window; a smaller map is one")
SCALE = Field(default=0, low=0, high=1, about="layer scale behind each branch: 0 or 1")


class CarrierTokens(Unit):
    """A map to tokens, each window's carriers before them."""

    kind = "carrier_tokens"
    fields = {
        "window": WINDOW,
        "carriers": Field(default=2, low=0, high=4, about="carrier tokens along a window's side; 0: none"),
    }
    keys = ("h", "w", "channels", "window", "carriers")

    @classmethod
    def sizes(cls, inp: Interface, f: Sizes) -> Mapping[str, Num]:
        window = minimum(f.window, minimum(inp.h, inp.w))
        one = (inp.h <= window) & (inp.w <= window)
        return {"window": window, "carriers": where(one, 0, minimum(f.carriers, window))}

    @classmethod
    def out(cls, inp: Interface, s: Sizes) -> Interface:
        down, across = _carriers(s)
        grid = {"prefix": down * across, "window": s.window, "carriers": s.carriers}
        return inp.with_(layout=CARRIED, extras=grid)

    @classmethod
    def forward(cls, x: Any, s: Sizes, ops: Operations) -> Any:
        if s.carriers == 0:
            return ops.to_tokens(x)
        near = ops.conv("near", x, s.channels, 3, depthwise=True, bias=True)
        near = ops.pad_to(near, *(count * s.window for count in _windows(s)), apart=True)
        return ops.join_tokens([ops.to_tokens(ops.pool_to(near, *_carriers(s))), ops.to_tokens(x)])


class CarrierAttention(Unit):
    """Carriers attend to each other and pass through a feed-forward network; pixels stay as they are."""

    kind = "carrier_attention"
    takes = CARRIED
    fields = {
        "heads": Field(default=8, about="attention heads, which divide the width"),
        "mlp_ratio": Field(default=4, about="hidden over input channels"),
        "act": act("gelu"),
        "scale": SCALE,
    }
    keys = ("h", "w", "channels", "prefix", "window", "carriers", "heads", "hidden", "act", "scale")

    @classmethod
    def sizes(cls, inp: Interface, f: Sizes) -> Mapping[str, Num]:
        refuse(inp.channels % f.heads != 0, f"{f.heads} heads do not divide {inp.channels} channels")
        _check(inp)
        return {"hidden": f.mlp_ratio * inp.channels}

    @classmethod
    def forward(cls, x: Any, s: Sizes, ops: Operations) -> Any:
        if s.carriers == 0:
            return x
        down, across = _carriers(s)
        carriers, pixels = ops.split_tokens(x, s.prefix)
        if down == across:
            carriers = carriers + ops.position_network("position", s.channels, down, across)
        bias = ops.offset_network("offsets", s.heads, down, across)
        carriers = carriers + _attention(carriers, bias, s, ops)
        return ops.join_tokens([carriers + _mlp(carriers, s, ops), pixels])


class WindowedAttention(Unit):
    """Each window's carriers and pixels attend to each other, then pass through a feed-forward network."""

    kind = "windowed_attention"
    takes = CARRIED
    fields = CarrierAttention.fields
    keys = CarrierAttention.keys
    sizes = CarrierAttention.sizes

    @classmethod
    def forward(cls, x: Any, s: Sizes, ops: Operations) -> Any:
        side = (s.window, s.window)
        position = ops.position_network("position", s.channels, *side)
        bias = ops.offset_network("offsets", s.heads, *side)
        if s.carriers == 0:
            y = ops.in_windows(
                lambda pixels: ops.to_map(_attended(ops.to_tokens(pixels) + position, bias, s, ops), *side),
                [ops.to_map(x, s.h, s.w)],
                [side],
            )
            x = ops.to_tokens(y)
            return x + _mlp(x, s, ops)
        bias = ops.zeros_before(bias, s.carriers * s.carriers)

        def attend(pixels: Any, carriers: Any) -> list[Any]:
            tokens = ops.join_tokens([ops.to_tokens(carriers), ops.to_tokens(pixels) + position])
            both = ops.split_tokens(_attended(tokens, bias, s, ops), s.carriers * s.carriers)
            return [ops.to_map(both[1], *side), ops.to_map(both[0], s.carriers, s.carriers)]

        carriers, pixels = ops.split_tokens(x, s.prefix)
        maps = [ops.to_map(pixels, s.h, s.w), ops.to_map(carriers, *_carriers(s))]
        maps = ops.in_windows(attend, maps, [side, (s.carriers, s.carriers)])
        x = ops.join_tokens([ops.to_tokens(maps[1]), ops.to_tokens(maps[0])])
        return x + _mlp(x, s, ops)


class EndCarriers(Unit):
    """Tokens to a map, to which carriers are added or not."""

    kind = "end_carriers"
    takes = CARRIED
    fields = {
        "propagate": Field(
            default=0, low=0, high=1, about="whether carriers are added to their pixels: 0 or 1"
        )
    }
    keys = ("h", "w", "channels", "prefix", "window", "carriers", "propagate")

    @classmethod
    def out(cls, inp: Interface, s: Sizes) -> Interface:
        _check(inp)
        return Interface(MAP, inp.channels, inp.h, inp.w)

    @classmethod
    def forward(cls, x: Any, s: Sizes, ops: Operations) -> Any:
        if s.carriers == 0:
            return ops.to_map(x, s.h, s.w)
        carriers, pixels = ops.split_tokens(x, s.prefix)
        y = ops.to_map(pixels, s.h, s.w)
        if not s.propagate:
            return y
        return y + ops.resize(ops.to_map(carriers, *_carriers(s)), s.h, s.w, nearest=True)


class NormConv(Unit):
    """A layer norm of each pixel and a convolution without a bias."""

    kind = "norm_conv"
    fields = {
        "width": width("output channels"),
        "kernel": Field(default=3, odd=True, about="odd kernel side"),
    }
    keys = ("h", "w", "cin", "cout", "kernel", "stride")
    strides = ()

    @classmethod
    def forward(cls, x: Any, s: Sizes, ops: Operations) -> Any:
        y = ops.to_map(ops.token_norm("norm", ops.to_tokens(x), eps=MAP_EPS), s.h, s.w)
        return ops.conv("conv", y, s.cout, s.kernel, s.stride)


def _check(inp: Interface) -> None:
    """Refuse tokens that are not what `carrier_tokens` makes."""
    refuse(inp.extra("window") < 1, "its windows have no pixels")
    down, across = _carriers({"h": inp.h, "w": inp.w, **inp.extras})
    refuse(
        inp.extra("prefix") != down * across,
        f"{down}×{across} carriers are not the {inp.extra('prefix')} tokens",
    )


def _windows(s: Mapping[str, Num]) -> tuple[Num, Num]:
    """Windows down and across a map, the last ones padded."""
    return ceil_div(s["h"], s["window"]), ceil_div(s["w"], s["window"])


def _carriers(s: Mapping[str, Num]) -> tuple[Num, Num]:
    """Carriers down and across a map."""
    down, across = _windows(s)
    return down * s["carriers"], across * s["carriers"]


def _attended(x: Any, bias: Any, s: Sizes, ops: Operations) -> Any:
    return x + _attention(x, bias, s, ops)


def _attention(x: Any, bias: Any, s: Sizes, ops: Operations) -> Any:
    """The branch of attention among tokens."""
    y, each = ops.token_norm("norm", x), (s.heads, s.channels // s.heads)
    q, k, v = (ops.linear(name, y, each) for name in "qkv")
    y = ops.weigh(v, ops.softmax(ops.scores(q, k, s.heads, bias)))
    return _ended("project", y, s, ops, inputs=each)


def _mlp(x: Any, s: Sizes, ops: Operations) -> Any:
    """The feed-forward branch."""
    y = ops.act(ops.linear("expand", ops.token_norm("mlp_norm", x), s.hidden), s.act)
    return _ended("contract", y, s, ops)


def _ended(name: str, y: Any, s: Sizes, ops: Operations, **options: Any) -> Any:
    """A branch's last layer, with its layer scale; without one it starts at zero."""
    if s.scale:
        return ops.linear_scale(name, y, s.channels, **options)
    return ops.linear(name, y, s.channels, init="zeros", **options)


PARTS = (
    CarrierTokens,
    CarrierAttention,
    WindowedAttention,
    EndCarriers,
    NormConv,
    block_of(
        "hierarchical_attention", Member("carriers", CarrierAttention), Member("windows", WindowedAttention)
    ),
)
