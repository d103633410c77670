"""Layouts: the shapes in which layers hand tensors on, and what an interface between two layers is.

A layout knows the shape of one image's tensor, and the words for it in messages. Everything that needs the shape of a
layer's input (costs, profiling, dense maps, tests) asks the interface, never the name of a layout.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

from nas.arith import Num, where


@dataclass(frozen=True)
class Layout:
    """A way to lay out one image's tensor.

    Attributes:
        name: unique.
        words: what it is called in messages.
        dims: shape without the batch, from an interface; a function with a name, so that networks can be pickled.
        keys: extras of the interface that describe it, e.g. the span of unrolled tokens.
        remedy: what brings a map into it, where no converter does by itself.
        placed: whether it has places, pixels or tokens, which an interface's sides count.
        answers: whether it holds the class scores with which a classifier answers.
    """

    name: str
    words: str
    dims: Callable[[Interface], tuple[Num, ...]] = field(compare=False)
    keys: tuple[str, ...] = ()
    remedy: str = ""
    placed: bool = True
    answers: bool = False


@dataclass(frozen=True)
class Interface:
    """What one layer hands to the next.

    Attributes:
        layout: how its tensor is laid out.
        channels: of each pixel or token.
        h, w: sides in pixels or tokens.
        extras: what else describes it, by name: `span` and `units` of unrolled tokens (side of the squares in their
            order, number of mask units), `prefix` (tokens before those of the map, as class or carrier tokens),
            `window` and `carriers` (sides of windows, and of their grids of carriers), …
    """

    layout: Layout
    channels: Num
    h: Num
    w: Num
    extras: Mapping[str, Num] = field(default_factory=dict)

    def with_(self, extras: Mapping[str, Num] | None = None, **changes: Any) -> Interface:
        """A copy with some parts replaced; `extras` are added to those it has."""
        extras = {**self.extras, **extras} if extras else self.extras
        return replace(self, extras=extras, **changes)

    def extra(self, name: str, default: Num = 0) -> Num:
        """One of the extras."""
        return self.extras.get(name, default)

    @property
    def shape(self) -> tuple[Num, ...]:
        """Shape of one image's tensor."""
        return self.layout.dims(self)

    @property
    def elements(self) -> Num:
        """Elements of one image's tensor."""
        return prod(self.shape)

    def where(self, active: Num, otherwise: Interface) -> Interface:
        """This where `active` holds, else `otherwise`, in this layout."""
        if active is True:
            return self
        names = {**self.extras, **otherwise.extras}
        extras = {
            name: where(active, self.extras.get(name, value), otherwise.extras.get(name, value))
            for name, value in names.items()
        }
        sizes = {
            name: where(active, getattr(self, name), getattr(otherwise, name))
            for name in ("channels", "h", "w")
        }
        return replace(self, extras=extras, **sizes)


def _map(i: Interface) -> tuple[Num, ...]:
    return i.channels, i.h, i.w


def _tokens(i: Interface) -> tuple[Num, ...]:
    return i.h * i.w + i.extra("prefix"), i.channels


def _unrolled(i: Interface) -> tuple[Num, ...]:
    return i.h * i.w, i.channels


def _patches(i: Interface) -> tuple[Num, ...]:
    pixels = i.extra("patch") * i.extra("patch")
    return i.channels, pixels, i.h * i.w // pixels


def _vector(i: Interface) -> tuple[Num, ...]:
    return (i.channels,)


MAP = Layout("map", "a map", _map)
TOKENS = Layout("tokens", "tokens", _tokens, ("prefix",))
UNROLLED = Layout(
    "unrolled", "unrolled tokens", _unrolled, ("span", "units"), "put a stage of block 'unroll' before it"
)
CARRIED = Layout(
    "carried",
    "tokens with carriers",
    _tokens,
    ("prefix", "window", "carriers"),
    "put a stage of block 'carrier_tokens' before it",
)
PATCHES = Layout("patches", "patches", _patches, ("patch",), "put a stage of block 'patch_unfold' before it")
VECTOR = Layout("vector", "class scores", _vector, placed=False, answers=True)
