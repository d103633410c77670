"""Lowering: from decisions to the layers they configure.

Written once for integers (one network), arrays (a batch) and traces (which decisions a size depends on).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nas.arith import Num, logical_not
from nas.blocks.base import Block, Interface, Unit, index_of
from nas.blocks.registry import CONVERTERS, converters
from nas.space.stage import Chosen, Const, Part, Scope, Source, Stage, Suffix


@dataclass(frozen=True)
class Slot:
    """A place for one layer.

    Attributes:
        name: `stage.position.kind`, unique in a network; blocks that are chosen between share the weights of a kind.
        stage: the stage it belongs to.
        unit: its kind, with weights, kernels and forward.
        sizes: one value per key of the unit: ints, int arrays `(n,)` or traces.
        active: whether the layer is there: bool, bool array `(n,)` or trace.
    """

    name: str
    stage: str
    unit: type[Unit]
    sizes: dict[str, Num]
    active: Num

    @property
    def kind(self) -> str:
        """The unit's kind."""
        return self.unit.kind


@dataclass(frozen=True)
class Blueprint:
    """What lowering reads of a space: stages, field sources and the deployment input."""

    stages: tuple[Stage, ...]
    sources: Mapping[str, Source]
    resolution: Source
    channels: int
    classes: int


def lower(
    blueprint: Blueprint,
    decisions: Mapping[str, Num],
    *,
    scale: float = 1.0,
    classes: int | None = None,
) -> list[Slot]:
    """Slots of the networks that `decisions` (name to values) describe.

    Args:
        scale: training resolution over deployment resolution.
        classes: number of classes, by default the deployment input's.
    """
    scope = Scope(decisions, blueprint.sources)
    side = scaled(scope.value(blueprint.resolution, ""), scale)
    inp = Interface("map", blueprint.channels, side, side)
    slots: list[Slot] = []
    lowering = _Lowering(scope, classes or blueprint.classes, slots)
    for stage in blueprint.stages:
        inp = lowering.stage(stage, inp)
    return slots


def scaled(side: Num, scale: float) -> Num:
    """Resolution at a training scale, rounded to whole pixels."""
    if scale == 1.0:
        return side
    if isinstance(side, np.ndarray):
        return np.rint(side * scale).astype(np.int64)
    return round(side * scale)


class _Lowering:
    def __init__(self, scope: Scope, classes: int, slots: list[Slot]) -> None:
        self.scope, self.classes, self.slots = scope, classes, slots
        self.returns: list[int] = []
        """Converters at the end of the last position, after which the next may convert straight back."""

    def stage(self, stage: Stage, inp: Interface) -> Interface:
        depth = self.scope.value(stage.depth, stage.name)
        stride, self.returns = stage.stride, []
        if stage.downsample is not None:
            there = True if stage.min_depth > 0 and not isinstance(depth, int) else depth > 0
            inp = self._position(stage.downsample, inp, 0, there, stride, depth)
            stride = 1
        for position in range(max(stage.max_depth, largest(depth))):
            there = True if position < stage.min_depth and not isinstance(depth, int) else depth > position
            if there is False:
                break
            inp = self._position(stage.body, inp, position, there, stride if position == 0 else 1, depth)
        if stage.min_depth > 0 and "last_width" in stage.body.fields:
            # Known without the depth, on which what the last block hands on would be said to depend.
            inp = inp.with_(channels=self._field(stage.body, "last_width", 0))
        return inp

    def _position(
        self, part: Part, inp: Interface, position: int, there: Num, stride: int, depth: Num
    ) -> Interface:
        stage = part.name.split(".")[0]
        shared = {name: self._field(part, name, position) for name in part.fields}
        place = {"stride": stride, "position": position, "last": depth == position + 1}
        fields = {**shared, **place, "classes": self.classes}
        out, chooses = inp, not isinstance(part.block, Const)
        before, self.returns = self.returns, []
        for block, chosen in self._options(part, position, depth):
            active = chosen if there is True else there if chosen is True else there & chosen
            if active is False:
                continue
            name, first = f"{part.name}.{position}", len(self.slots)
            end = self._units(name, stage, block, inp, fields, active)
            self._cancel(before, first)
            if chooses and end.layout != inp.layout:
                end = self._unit(name, stage, CONVERTERS[end.layout, inp.layout], end, fields, active)
                self.returns.append(len(self.slots) - 1)
            out = end.where(active, out)
        return out

    def _cancel(self, returns: Sequence[int], first: int) -> None:
        """Drop pairs of converters, one at the end of a position and its inverse at the next one's start."""
        if first == len(self.slots) or self.slots[first].unit not in CONVERTERS.values():
            return
        for index in returns:
            last, new = self.slots[index], self.slots[first]
            self.slots[index] = replace(last, active=last.active & logical_not(new.active))
            self.slots[first] = replace(new, active=new.active & logical_not(last.active))

    def _field(self, part: Part, name: str, position: int) -> Num:
        value = self.scope.value(part.fields[name], part.name, position)
        words = next(block.fields[name].words for block in part.blocks if name in block.fields)
        return index_of(words, value) if words else value

    def _options(self, part: Part, position: int, depth: Num) -> Iterator[tuple[Block, Num]]:
        blocks = {block.name: block for block in part.blocks}
        match part.block:
            case Const(value=name):
                yield blocks[str(name)], True
            case Chosen():
                value = self.scope.value(part.block, part.name, position)
                for name, block in blocks.items():
                    yield block, value == name
            case Suffix(count=count, last=last, first=first):
                tail = self.scope.value(count, part.name) + position >= depth
                yield blocks[first], tail == False  # noqa: E712 (also an array or a trace)
                yield blocks[last], tail

    def _units(
        self, name: str, stage: str, block: Block, inp: Interface, fields: Mapping[str, Num], active: Num
    ) -> Interface:
        for unit in block.units:
            for converter in converters(inp.layout, unit.takes, block.name):
                inp = self._unit(name, stage, converter, inp, fields, active)
            inp = self._unit(name, stage, unit, inp, fields, active)
            fields = {**fields, "stride": 1}
        return inp

    def _unit(
        self, name: str, stage: str, unit: type[Unit], inp: Interface, fields: Mapping[str, Num], active: Num
    ) -> Interface:
        sizes, out = unit.plan(inp, fields)
        self.slots.append(Slot(f"{name}.{unit.kind}", stage, unit, sizes, active))
        return out


def largest(depth: Any) -> int:
    """Largest depth of one or many networks (a trace knows none beyond the space's)."""
    if isinstance(depth, np.ndarray):
        return int(depth.max()) if depth.size else 0
    return depth if isinstance(depth, int) else 0
