"""Stages: blocks repeated to a depth, their fields fixed, chosen or derived."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from nas.arith import Num
from nas.blocks.base import Block
from nas.space.expression import Expression


@dataclass(frozen=True)
class Const:
    """A fixed value."""

    value: int | float | str


@dataclass(frozen=True)
class Chosen:
    """The value of one decision, or of one decision per block (`name[i]`)."""

    name: str
    per_block: bool = False

    def at(self, position: int) -> str:
        """Name of the decision that block `position` reads."""
        return f"{self.name}[{position}]" if self.per_block else self.name


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


Source = Const | Chosen | Derived


@dataclass(frozen=True)
class Part:
    """A block (or a choice of blocks) and the sources of its fields."""

    name: str
    block: Const | Chosen | Suffix
    blocks: tuple[Block, ...]
    fields: Mapping[str, Source]


@dataclass(frozen=True)
class Stage:
    """A part repeated `depth` times, the first with `stride`, behind an optional down-sampler."""

    name: str
    body: Part
    depth: Source
    min_depth: int
    max_depth: int
    stride: int
    downsample: Part | None


Lookup = Callable[[str], Num]


class Scope(Mapping[str, Num]):
    """Values of decisions and of stage fields by dotted name; bare names belong to one stage.

    A derived field is computed once, so that fields derived from each other along a chain of stages cost what each
    of them costs.
    """

    def __init__(self, decisions: Mapping[str, Num], sources: Mapping[str, Source], stage: str = "") -> None:
        self._decisions, self._sources, self._stage = decisions, sources, stage
        self._known: dict[tuple[int, str], Num] = {}

    def within(self, stage: str) -> Scope:
        """The same values, seen from inside a stage."""
        inside = Scope(self._decisions, self._sources, stage)
        inside._known = self._known
        return inside

    def __getitem__(self, name: str) -> Num:
        full = self.full_name(name)
        if full in self._decisions:
            return self._decisions[full]
        return self.value(self._sources[full], full.split(".")[0])

    def full_name(self, name: str) -> str:
        """`width` inside stage T1 as `T1.width`."""
        local = f"{self._stage}.{name}"
        return local if local in self._decisions or local in self._sources else name

    def value(self, source: Source, stage: str, position: int = 0) -> Num:
        """Value of a field's source for block `position`."""
        match source:
            case Const(value=value):
                return value
            case Chosen():
                return self._decisions[source.at(position)]
            case Derived(expression=expression):
                key = (id(source), stage)
                if key not in self._known:
                    self._known[key] = expression(self.within(stage))
                return self._known[key]

    def __iter__(self) -> Any:
        return iter({**self._decisions, **self._sources})

    def __len__(self) -> int:
        return len({**self._decisions, **self._sources})
