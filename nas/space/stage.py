"""Stages: blocks repeated to a depth, their fields fixed, chosen or derived."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from nas.arith import Num
from nas.blocks.base import Block, Field
from nas.space.expression import Expression


@dataclass(frozen=True)
class Const:
    """A fixed value."""

    value: int | float | str


@dataclass(frozen=True)
class Each:
    """Fixed values, one per block or, of a field with a value per head, one per head; the last is repeated."""

    values: tuple[int | float | str, ...]


@dataclass(frozen=True)
class Chosen:
    """The value of one decision, or of one decision per block (`name[i]`) or per head (`name[h]`).

    Attributes:
        heads: how many decisions there are where each head has its own; 0: heads are not told apart.
    """

    name: str
    per_block: bool = False
    heads: int = 0

    @property
    def indexed(self) -> bool:
        """Whether it is several decisions, written `name[i]`."""
        return self.per_block or self.heads > 0

    def at(self, position: int) -> str:
        """Name of the decision that block (or head) `position` reads."""
        return f"{self.name}[{position}]" if self.indexed else self.name


@dataclass(frozen=True)
class Derived:
    """An expression over decisions and fields."""

    expression: Expression


@dataclass(frozen=True)
class Suffix:
    """The last `count` blocks are `last`, those before are `first`."""

    count: Chosen | Const
    last: str
    first: str


Source = Const | Each | Chosen | Derived
PLACE = ("position", "depth", "last")
"""What a derived field may read of the block it is for: its place from 0, the stage's depth, whether it is the last."""


@dataclass(frozen=True)
class Part:
    """A block (or a choice of blocks) and the sources of its fields."""

    name: str
    block: Const | Each | Chosen | Suffix
    blocks: tuple[Block, ...]
    fields: Mapping[str, Source]

    @cached_property
    def specs(self) -> dict[str, Field]:
        """What each of its fields may be."""
        return {name: spec for block in reversed(self.blocks) for name, spec in block.fields.items()}


@dataclass(frozen=True)
class Stage:
    """A part repeated `depth` times, the first with `stride`, behind an optional down-sampler.

    Attributes:
        reads: kept streams that it takes instead of what the stage before hands on.
        keep: the stream under which what it hands on is kept; empty: it is not.
    """

    name: str
    body: Part
    depth: Source
    min_depth: int
    max_depth: int
    stride: int
    downsample: Part | None
    reads: tuple[str, ...] = ()
    keep: str = ""


class Scope(Mapping[str, Num]):
    """Values of decisions and of stage fields by dotted name; bare names belong to one stage.

    A derived field is computed once, so that fields derived from each other along a chain of stages cost what each
    of them costs.
    """

    def __init__(
        self,
        decisions: Mapping[str, Num],
        sources: Mapping[str, Source],
        stage: str = "",
        place: Mapping[str, Num] | None = None,
    ) -> None:
        self._decisions, self._sources, self._stage = decisions, sources, stage
        self._place = place or {}
        self._known: dict[tuple[int, str], Num] = {}

    def within(self, stage: str) -> Scope:
        """The same values, seen from inside a stage."""
        inside = Scope(self._decisions, self._sources, stage, self._place)
        inside._known = self._known
        return inside

    def at(self, position: int, depth: Num) -> Scope:
        """The same values, seen from a block's place in its stage."""
        place = {"position": position, "depth": depth, "last": depth == position + 1}
        there = Scope(self._decisions, self._sources, self._stage, place)
        there._known = self._known
        return there

    def __getitem__(self, name: str) -> Num:
        if name in self._place and self._stage:
            return self._place[name]
        full = self.full_name(name)
        if full in self._decisions:
            return self._decisions[full]
        return self.value(self._sources[full], full.split(".")[0], int(self._place.get("position", 0)))

    def full_name(self, name: str) -> str:
        """`width` inside stage T1 as `T1.width`."""
        local = f"{self._stage}.{name}"
        return local if local in self._decisions or local in self._sources else name

    def value(self, source: Source, stage: str, position: int = 0) -> Num:
        """Value of a field's source for block `position`."""
        match source:
            case Const(value=value):
                return value
            case Each(values=values):
                return values[min(position, len(values) - 1)]
            case Chosen():
                return self._decisions[source.at(position)]
            case Derived(expression=expression):
                if any(name in PLACE for name in expression.names):
                    return expression(self.within(stage))  # another value for each block
                key = (id(source), stage)
                if key not in self._known:
                    self._known[key] = expression(self.within(stage))
                return self._known[key]

    def by_head(self, source: Source, stage: str, position: int = 0) -> list[Num]:
        """Values of the source of a field with a value per head; one stands for all heads."""
        match source:
            case Each(values=values):
                return list(values)
            case Chosen(heads=heads) if heads:
                return [self._decisions[source.at(head)] for head in range(heads)]
        return [self.value(source, stage, position)]

    def __iter__(self) -> Any:
        return iter({**self._decisions, **self._sources})

    def __len__(self) -> int:
        return len({**self._decisions, **self._sources})
