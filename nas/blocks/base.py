"""What every block is made of: fields, sizes, weights, kernels and a forward function.

A block file describes one kind of layer once. `plan` turns a stage's fields into integer sizes, `weights`
and `kernels` are arithmetic on those sizes (integers for one network, arrays of shape `(n,)` for a batch),
and `forward` runs on tensors. Parameter counts, elastic slicing, extraction and costs all read these.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from nas.arith import Num, maximum, where
from nas.blocks.folding import fold
from nas.errors import NasError

if TYPE_CHECKING:
    from torch import Tensor

    from nas.blocks.ops import Ops

ACTIVATIONS = ("none", "relu", "gelu", "silu", "hard_swish")
TOKEN_NORMS = ("layer_norm", "joint_norm")
Layout = Literal["map", "tokens", "unrolled", "vector"]
Sizes = Mapping[str, Num]
Parts = Mapping[str, Any]
Init = Literal["linear", "conv", "zeros", "ones", "small", "table", "identity"]


@dataclass(frozen=True)
class Field:
    """One key a stage may set for a block.

    Attributes:
        default: value when the key is left out; None makes the key required.
        words: for a worded field, the allowed words; its size is the word's index.
        low, high: smallest and largest allowed number.
        odd: whether only odd numbers are allowed.
        strided: whether a block with a stride reads it.
        about: what it is, for messages and documentation.
    """

    default: int | str | None = None
    words: tuple[str, ...] = ()
    low: int = 1
    high: int = 1_000_000
    odd: bool = False
    strided: bool = True
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


@dataclass(frozen=True)
class Interface:
    """What one layer hands to the next: layout, channels and spatial size (in pixels or tokens).

    Attributes:
        span, units: of unrolled tokens, the side of the squares in their order, and how many mask units they are.
    """

    layout: Layout
    channels: Num
    h: Num
    w: Num
    span: Num = 1
    units: Num = 1

    def with_(self, **changes: Any) -> Interface:
        """A copy with some parts replaced."""
        return replace(self, **changes)

    def where(self, active: Num, otherwise: Interface) -> Interface:
        """This where `active` holds, else `otherwise`, in this layout."""
        sizes = ("channels", "h", "w", "span", "units")
        return self.with_(
            **{name: where(active, getattr(self, name), getattr(otherwise, name)) for name in sizes}
        )


@dataclass(frozen=True)
class Weight:
    """One parameter or buffer, its shape given by the layer's sizes.

    Attributes:
        shape: sizes of its dimensions; a zero anywhere means that the layer has no such weight.
        init: how it starts.
        crop: the last two dimensions are shared by centre crop (kernels, offset tables), all others by
            their leading part.
        decay: whether weight decay applies to it.
        buffer: a running statistic, not trained.
    """

    shape: tuple[Num, ...]
    init: Init = "linear"
    crop: bool = False
    decay: bool = False
    buffer: bool = False

    def count(self) -> Num:
        """Number of elements."""
        return reduce(lambda a, b: a * b, self.shape)


@dataclass(frozen=True)
class Kernel:
    """One primitive a layer executes.

    Attributes:
        op: conv, depthwise, matmul, norm, act, softmax, pool, add, mul, resize.
        out: elements of its output tensor; 0 for a view.
        macs: multiply-accumulates, as PyTorch's counter counts them (convolutions and matrix products).
        reads: positions of earlier kernels whose outputs it needs; -1 is the layer's input. A pair is a
            position and the condition under which it is read.
    """

    op: str
    out: Num
    macs: Num = 0
    reads: tuple[int | tuple[int, Num], ...] = (-1,)


class Unit(ABC):
    """A kind of layer: the part of a network that a device's table times.

    Subclasses are never instantiated; they are tables of functions with one kind each.

    Attributes:
        kind: unique name.
        takes: layout of its input.
        fields: what a stage may set.
        keys: names of its sizes.
        strides: strides it can take; empty: any.
        folds: by projection, the batch norms and scales right behind it, which the deployed form multiplies in.
    """

    kind: ClassVar[str]
    takes: ClassVar[Layout] = "map"
    fields: ClassVar[Mapping[str, Field]] = {}
    keys: ClassVar[tuple[str, ...]]
    strides: ClassVar[tuple[int, ...]] = (1,)
    folds: ClassVar[Mapping[str, tuple[str, ...]]] = {}

    @classmethod
    @abstractmethod
    def plan(cls, inp: Interface, fields: Mapping[str, Num]) -> tuple[dict[str, Num], Interface]:
        """Sizes of the layer under `fields` (and `stride`), and what it hands on."""

    @classmethod
    @abstractmethod
    def weights(cls, s: Sizes) -> dict[str, Weight]:
        """Parameters and buffers by name."""

    @classmethod
    @abstractmethod
    def kernels(cls, s: Sizes) -> list[Kernel]:
        """The primitives one image costs, in order of execution."""

    @classmethod
    @abstractmethod
    def forward(cls, x: Tensor, p: Parts, s: Mapping[str, int], ops: Ops) -> Tensor:
        """Run the layer on `x` with the weights `p`, both at the sizes `s`."""

    @classmethod
    def folded(cls, p: Parts) -> Parts:
        """Weights of the deployed form, with which `forward` computes at eval what it computes with `p`."""
        return fold(p, cls.folds)


def macs(unit: type[Unit], s: Sizes) -> Num:
    """Multiply-accumulates of one layer for one image."""
    return sum(kernel.macs for kernel in unit.kernels(s))


def params(unit: type[Unit], s: Sizes) -> Num:
    """Trained parameters of one layer."""
    return sum(weight.count() for weight in unit.weights(s).values() if not weight.buffer)


def live_elements(unit: type[Unit], s: Sizes, elements_in: Num) -> Num:
    """Largest number of tensor elements alive at once while the layer runs.

    The layer's input stays alive to its end (a residual, or the caller's reference); every other tensor
    lives from the kernel that makes it to the last one that reads it. An activation "none" counts as one.
    """
    kernels = unit.kernels(s)
    peak: Num = 0
    for index in range(len(kernels)):
        alive = [when(_needed(kernels, made, index), kernels[made].out) for made in range(index + 1)]
        peak = maximum(peak, sum(alive) + elements_in)
    return peak


def _needed(kernels: list[Kernel], made: int, index: int) -> Num:
    """Whether the output of kernel `made` is alive while kernel `index` runs."""
    if made == index:
        return True
    needed: Num = False
    for kernel in kernels[index:]:
        for read in kernel.reads:
            source, condition = read if isinstance(read, tuple) else (read, True)
            if source == made and condition is True:
                return True
            if source == made:
                needed = condition if needed is False else needed | condition
    return needed


def refuse(condition: Num, why: str) -> None:
    """Say why one network cannot be built. Batches and traces pass: there a space's rules tell what is built.

    Raises:
        NasError: `condition` is the truth value True.
    """
    if isinstance(condition, (bool, np.bool_)) and condition:
        raise NasError(f"{why}.")


def when(condition: Num, value: Num) -> Num:
    """`value` where `condition` holds, else 0."""
    return where(condition, value, 0)


def index_of(words: tuple[str, ...], value: Num) -> Num:
    """Position of a word (or of each word of an array or trace) in `words`."""
    if isinstance(value, str):
        return words.index(value)
    result: Num = 0
    for position, word in enumerate(words):
        result = where(value == word, position, result)
    return result


@dataclass(frozen=True)
class Block:
    """A named sequence of units that a stage repeats, and the fields it takes together."""

    name: str
    units: tuple[type[Unit], ...]
    fields: Mapping[str, Field] = field(default_factory=dict)
