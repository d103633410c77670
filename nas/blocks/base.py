"""What every block is made of: fields, sizes and a forward function.

A block file describes one kind of layer once. `plan` turns a stage's fields into integer sizes, and `forward` says
what the layer computes and declares each weight where it uses it. Weights, multiply-accumulates, parameters, peak
memory, what a latency model sees, the slices of a supernet and the deployed form all come from running `forward` with
other operations (`nas.blocks.operations`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from nas.arith import Num, ceil_div, where
from nas.blocks.layouts import MAP, VECTOR, Interface, Layout
from nas.blocks.sizes import Sizes
from nas.errors import NasError

if TYPE_CHECKING:
    from nas.blocks.operations import Operations

ACTIVATIONS = ("none", "relu", "gelu", "silu", "hard_swish", "gelu_tanh")
TOKEN_NORMS = ("layer_norm", "joint_norm")
GATES = ("sigmoid", "hard_sigmoid")
PADDINGS = ("symmetric", "tensorflow")
"""Zeros around a map that a kernel passes over with a stride: as many on each side, or, as TensorFlow's SAME has it,
what is odd on the far ones."""
Form = Literal["train", "deploy"]
"""As a layer is trained, or as a device runs it: norms folded, branches fused."""
Parts = Mapping[str, Any]
Init = Literal["linear", "conv", "zeros", "ones", "small", "table", "identity", "eye"]


@dataclass(frozen=True)
class Field:
    """One key a stage may set for a block.

    Attributes:
        default: value when the key is left out; None makes the key required.
        words: for a worded field, the allowed words; its size is the word's index.
        low, high: smallest and largest allowed number.
        odd: whether only odd numbers are allowed.
        strided: whether a block with a stride reads it.
        heads: the field that says how many values there are, for a value per head; see `nas.blocks.per_head`.
        about: what it is, for messages and documentation.
    """

    default: int | str | None = None
    words: tuple[str, ...] = ()
    low: int = 1
    high: int = 1_000_000
    odd: bool = False
    strided: bool = True
    heads: str = ""
    about: str = ""

    def problem(self, value: object) -> str | None:
        """What is wrong with a value for this field; None if nothing is."""
        if self.words:
            return None if value in self.words else f"{value!r} is none of {', '.join(self.words)}"
        if isinstance(value, str) or not isinstance(value, (int, float)) or value != value:
            return f"a number is needed, not {value!r}"
        if value < self.low:
            return f"{value} is below {self.low}, the smallest allowed"
        if value > self.high:
            return f"{value} is above {self.high:,}, the largest allowed"
        if value != int(value):
            return f"a whole number is needed, not {value}"
        return f"an odd number is needed, not {value}" if self.odd and value % 2 == 0 else None


def width(about: str = "channels") -> Field:
    """The field `width`."""
    return Field(about=about)


SAME_WIDTH = Field(default=0, low=0, about="channels; left out: those of the input, which it keeps")


def width_of(inp: Interface, f: Sizes) -> Num:
    """Channels of a block that keeps its input's: the field `width` where a space states it, else the input's."""
    stated = f["width"]
    return inp.channels if isinstance(stated, int) and stated == 0 else stated


def act(default: str) -> Field:
    """A field that names an activation."""
    return Field(default=default, words=ACTIVATIONS)


def epsilon(exponent: int) -> Field:
    """A field that says by which power of ten norms keep variances from zero: 5 is 1e-5."""
    return Field(default=exponent, high=15, about="n: the norms add 1e-n to variances")


def eps_of(s: Sizes) -> float:
    """What a size of a field `epsilon` says."""
    return float(10.0 ** -int(s.eps))


@dataclass(frozen=True)
class Weight:
    """One parameter or buffer, its shape given by the layer's sizes.

    Attributes:
        shape: sizes of its dimensions.
        init: how it starts.
        crop: the last two dimensions are shared by centre crop (kernels, offset tables), all others by
            their leading part.
        decay: whether weight decay applies to it.
        buffer: a running statistic, not trained.
        rows: how many of its first dimensions are output channels, together.
    """

    shape: tuple[Num, ...]
    init: Init = "linear"
    crop: bool = False
    decay: bool = False
    buffer: bool = False
    rows: int = 1

    def count(self) -> Num:
        """Number of elements."""
        return reduce(lambda a, b: a * b, self.shape)


class Unit(ABC):
    """A kind of layer: the part of a network that a device's table times.

    Subclasses are never instantiated; they are tables of functions with one kind each.

    Attributes:
        kind: unique name.
        takes: layout of its input; of each of its inputs where it joins several.
        fields: what a stage may set.
        keys: names of its sizes, in the order of its signature. `h`, `w` and `channels` (or `cin`) are those of the
            input, `cout` is the field `width`.
        strides: strides it can take; empty: any.
        joins: whether it takes several inputs, as a list; its `plan` then gets a list of interfaces.
    """

    kind: ClassVar[str]
    takes: ClassVar[Layout] = MAP
    fields: ClassVar[Mapping[str, Field]] = {}
    keys: ClassVar[tuple[str, ...]]
    strides: ClassVar[tuple[int, ...]] = (1,)
    joins: ClassVar[bool] = False

    @classmethod
    def plan(cls, inp: Any, fields: Mapping[str, Num]) -> tuple[dict[str, Num], Interface]:
        """Sizes of the layer under `fields` (and `stride`), and what it hands on.

        By default a size is what `sizes` says, else that of the input, else the field of its name.
        """
        f = Sizes(fields)
        given = {
            **fields,
            **{key: inp.extra(key) for key in cls.takes.keys},
            **inp.extras,
            "h": inp.h,
            "w": inp.w,
            "channels": inp.channels,
            "cin": inp.channels,
        }
        given |= {"cout": fields.get("width"), **cls.sizes(inp, f)}
        s = Sizes({key: given[key] for key in cls.keys})
        return dict(s), cls.out(inp, s)

    @classmethod
    def sizes(cls, inp: Interface, f: Sizes) -> Mapping[str, Num]:
        """Sizes that are neither the input's nor a field's, by key."""
        return {}

    @classmethod
    def out(cls, inp: Interface, s: Sizes) -> Interface:
        """What the layer hands on: class scores of a classifier, else what comes in at the new width and stride."""
        if "classes" in s:
            return Interface(VECTOR, s["classes"], 1, 1)
        inp = inp.with_(channels=s["cout"]) if "cout" in s else inp
        if "stride" not in s:
            return inp
        return inp.with_(h=ceil_div(inp.h, s["stride"]), w=ceil_div(inp.w, s["stride"]))

    @classmethod
    def inputs(cls, s: Mapping[str, Num]) -> tuple[Interface, ...]:
        """What a layer of these sizes takes."""
        extras = {key: s[key] for key in cls.takes.keys if key in s}
        return (Interface(cls.takes, s["cin"] if "cin" in s else s["channels"], s["h"], s["w"], extras),)

    @classmethod
    @abstractmethod
    def forward(cls, x: Any, s: Sizes, ops: Operations) -> Any:
        """What the layer computes of `x`: a tensor with a batch dimension, or a list of them where it joins."""


def refuse(condition: Num, why: str) -> None:
    """Say why one network cannot be built. Batches and traces pass: there a space's rules tell what is built.

    Raises:
        NasError: `condition` is the truth value True.
    """
    if isinstance(condition, (bool, np.bool_)) and condition:
        raise NasError(f"{why}.")


def index_of(words: tuple[str, ...], value: Num) -> Num:
    """Position of a word (or of each word of an array or trace) in `words`."""
    if isinstance(value, str):
        return words.index(value)
    result: Num = 0
    for position, word in enumerate(words):
        result = where(value == word, position, result)
    return result


@dataclass(frozen=True)
class Member:
    """A unit of a block, under its role there.

    Attributes:
        role: unique in the block; the last part of its slots' names, under which a supernet keeps its weights.
        unit: its kind.
        fields: names the block gives to fields of the unit, by the unit's own name; others keep theirs.
        fixed: fields of the unit that the block itself sets, words by their position; a stage has none of that name.
    """

    role: str
    unit: type[Unit]
    fields: Mapping[str, str] = field(default_factory=dict)
    fixed: Mapping[str, int] = field(default_factory=dict)

    def of_block(self, name: str) -> str:
        """What the block calls the unit's field `name`."""
        return self.fields.get(name, name)

    def of_unit(self, fields: Mapping[str, Num]) -> dict[str, Num]:
        """The unit's own fields among those of the block; what is no field is as it was."""
        if not self.fields and not self.fixed:
            return dict(fields)
        renamed = {key: fields[self.of_block(key)] for key in self.unit.fields if key not in self.fixed}
        return {**fields, **renamed, **self.fixed}


@dataclass(frozen=True)
class Block:
    """A named sequence of units that a stage repeats, and the fields it takes together."""

    name: str
    members: tuple[Member, ...]
    fields: Mapping[str, Field] = field(default_factory=dict)

    @property
    def strided(self) -> int:
        """Position of the unit that takes a stage's stride: the first that has one, else the first."""
        having = (index for index, member in enumerate(self.members) if "stride" in member.unit.keys)
        return next(having, 0)

    @property
    def units(self) -> tuple[type[Unit], ...]:
        """Its units in order."""
        return tuple(member.unit for member in self.members)


def block_of(name: str, *members: Member | type[Unit]) -> Block:
    """A block of units in order; a unit without a role has its kind for one.

    Raises:
        NasError: two units in one role.
    """
    full = tuple(m if isinstance(m, Member) else Member(m.kind, m) for m in members)
    roles = [member.role for member in full]
    twice = next((role for role in roles if roles.count(role) > 1), None)
    if twice:
        raise NasError(
            f"block {name!r} has two units in the role {twice!r}; give each Member a role of its own."
        )
    fields = {
        m.of_block(key): spec for m in full for key, spec in m.unit.fields.items() if key not in m.fixed
    }
    return Block(name, full, fields)
