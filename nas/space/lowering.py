"""Lowering: from decisions to the layers they configure.

Written once for integers (one network), arrays (a batch) and traces (which decisions a size depends on).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from nas.arith import Num, logical_not, where
from nas.blocks.base import Block, Form, Member, Unit, index_of
from nas.blocks.layouts import MAP, Interface
from nas.blocks.per_head import pack
from nas.blocks.registry import CONVERTERS, converters
from nas.errors import NasError
from nas.space.stage import Chosen, Const, Each, Part, Scope, Source, Stage, Suffix


class StageError(NasError):
    """A stage of one network cannot be built.

    Attributes:
        part: of the space's file, `S1` or `S1.downsample`.
        why: without the stage's name.
    """

    def __init__(self, part: str, why: str) -> None:
        self.part, self.why = part, why
        super().__init__(f"stage {part!r}: {why}")

    def __reduce__(self) -> tuple[type[StageError], tuple[str, str]]:
        return StageError, (self.part, self.why)


HELD = "held"
INPUT = "input"
"""The stream of the images, which any stage may read."""


@dataclass(frozen=True)
class Slot:
    """A place for one layer.

    Attributes:
        name: `stage.position.role`, unique in a network; blocks that are chosen between share the weights of a role.
        stage: the stage it belongs to.
        unit: its kind.
        sizes: one value per key of the unit: ints, int arrays `(n,)` or traces.
        active: whether the layer is there: bool, bool array `(n,)` or trace.
        inputs: what it is handed; several where its unit joins them.
        out: what it hands on.
        form: in which costs mean it.
        reads: streams it takes instead of what the layer before hands on.
        keeps: streams under which what is handed on here is kept, whether the layer is there or not.
        held: elements of kept streams that are alive beside its inputs, as a later layer reads them.
    """

    name: str
    stage: str
    unit: type[Unit]
    sizes: dict[str, Num]
    active: Num
    inputs: tuple[Interface, ...]
    out: Interface
    form: Form = "deploy"
    reads: tuple[str, ...] = ()
    keeps: tuple[str, ...] = ()
    held: Num = 0

    @property
    def kind(self) -> str:
        """The unit's kind."""
        return self.unit.kind

    @property
    def amounts(self) -> dict[str, Num]:
        """Sizes, and under `held` the elements held beside it, where streams are kept: what its costs depend on."""
        return self.sizes if isinstance(self.held, int) and not self.held else {**self.sizes, HELD: self.held}

    @property
    def place(self) -> str:
        """What the names of all layers of its position begin with."""
        return self.name.rpartition(".")[0]

    @property
    def role(self) -> str:
        """Its role in its position."""
        return self.name.rpartition(".")[2]


@dataclass(frozen=True)
class Blueprint:
    """What lowering reads of a space: stages, field sources and the deployment input.

    Attributes:
        resolution: height of the input in pixels, and width unless that is given.
        outputs: kept streams that are the network's answer; none: what the last layer hands on.
    """

    stages: tuple[Stage, ...]
    sources: Mapping[str, Source]
    resolution: Source
    channels: int
    classes: int
    width: Source | None = None
    outputs: tuple[str, ...] = ()


def lower(
    blueprint: Blueprint,
    decisions: Mapping[str, Num],
    *,
    scale: float = 1.0,
    classes: int | None = None,
    form: Form = "deploy",
) -> list[Slot]:
    """Slots of the networks that `decisions` (name to values) describe.

    Args:
        scale: training resolution over deployment resolution.
        classes: number of classes, by default the deployment input's.
        form: in which costs mean them; sizes are the same in both.

    Raises:
        StageError: a stage of these networks cannot be built.
    """
    scope = Scope(decisions, blueprint.sources)
    h = scaled(scope.value(blueprint.resolution, ""), scale)
    w = h if blueprint.width is None else scaled(scope.value(blueprint.width, ""), scale)
    inp = Interface(MAP, blueprint.channels, h, w)
    lowering = _Lowering(scope, classes or blueprint.classes, form, inp)
    for stage in blueprint.stages:
        lowering.part = stage.name
        try:
            inp = lowering.stage(stage, inp)
        except NasError as error:
            raise StageError(lowering.part, str(error)) from None
    return _held(lowering.slots, lowering.streams, blueprint.outputs)


def scaled(side: Num, scale: float) -> Num:
    """Resolution at a training scale, rounded to whole pixels."""
    if scale == 1.0:
        return side
    if isinstance(side, np.ndarray):
        return np.rint(side * scale).astype(np.int64)
    return round(side * scale)


@dataclass
class _Lowering:
    scope: Scope
    classes: int
    form: Form
    image: Interface
    slots: list[Slot] = field(default_factory=list)
    streams: dict[str, Interface] = field(default_factory=dict)
    part: str = ""
    """Of the space's file, that is lowered now."""
    returns: list[int] = field(default_factory=list)
    """Converters at the end of the last position, after which the next may convert straight back."""

    def stage(self, stage: Stage, inp: Interface) -> Interface:
        self.streams.setdefault(INPUT, self.image)
        depth = self.scope.value(stage.depth, stage.name)
        stride, self.returns, reads = stage.stride, [], stage.reads
        if stage.downsample is not None:
            there = True if stage.min_depth > 0 and not isinstance(depth, int) else depth > 0
            inp = self._position(stage.downsample, inp, 0, there, stride, depth, reads)
            stride, reads = 1, ()
        for position in range(max(stage.max_depth, largest(depth))):
            there = True if position < stage.min_depth and not isinstance(depth, int) else depth > position
            if there is False:
                break
            first = position == 0
            inp = self._position(
                stage.body, inp, position, there, stride if first else 1, depth, reads if first else ()
            )
        if stage.min_depth > 0 and "last_width" in stage.body.fields:
            # Known without the depth, on which what the last block hands on would be said to depend.
            inp = inp.with_(channels=_field(self.scope.at(0, depth), stage.body, "last_width", 0))
        if stage.keep:
            self._keep(stage, inp)
        return inp

    def _keep(self, stage: Stage, inp: Interface) -> None:
        if not self.slots:
            raise NasError(f"it keeps what nothing has made; read {INPUT!r} instead.")
        self.streams[stage.keep] = inp
        self.slots[-1] = replace(self.slots[-1], keeps=(*self.slots[-1].keeps, stage.keep))

    def _position(
        self,
        part: Part,
        inp: Interface,
        position: int,
        there: Num,
        stride: int,
        depth: Num,
        reads: tuple[str, ...] = (),
    ) -> Interface:
        stage, self.part = part.name.split(".")[0], part.name
        inputs = tuple(self.streams[name] for name in reads) or (inp,)
        scope = self.scope.at(position, depth)
        shared = {name: _field(scope, part, name, position) for name in part.fields}
        place = {"stride": stride, "position": position, "last": depth == position + 1}
        fields = {**shared, **place, "classes": self.classes}
        chooses = not isinstance(part.block, Const)
        out: Interface | None = None
        before, self.returns = self.returns, []
        for block, chosen in self._options(part, position, depth):
            active = chosen if there is True else there if chosen is True else there & chosen
            if active is False:
                continue
            name, first = f"{part.name}.{position}", len(self.slots)
            end = self._units(name, stage, block, inputs, fields, active, reads)
            if not reads:
                self._cancel(before, first)
            if chooses and end.layout != inputs[0].layout:
                member = _converter(CONVERTERS[end.layout, inputs[0].layout])
                end = self._unit(name, stage, member, (end,), fields, active)
                self.returns.append(len(self.slots) - 1)
            # One of the blocks is chosen: what comes out depends on nothing that all of them hand on alike.
            out = end if out is None else end.where(chosen, out)
        return inputs[0] if out is None else out.where(there, inputs[0])

    def _cancel(self, returns: Sequence[int], first: int) -> None:
        """Drop pairs of converters, one at the end of a position and its inverse at the next one's start."""
        if first == len(self.slots) or self.slots[first].unit not in CONVERTERS.values():
            return
        for index in returns:
            last, new = self.slots[index], self.slots[first]
            self.slots[index] = replace(last, active=last.active & logical_not(new.active))
            self.slots[first] = replace(new, active=new.active & logical_not(last.active))

    def _options(self, part: Part, position: int, depth: Num) -> Iterator[tuple[Block, Num]]:
        blocks = {block.name: block for block in part.blocks}
        match part.block:
            case Const(value=name):
                yield blocks[str(name)], True
            case Each(values=names):
                yield blocks[str(names[min(position, len(names) - 1)])], True
            case Chosen():
                value = self.scope.value(part.block, part.name, position)
                for name, block in blocks.items():
                    yield block, value == name
            case Suffix(count=count, last=last, first=first):
                tail = self.scope.value(count, part.name) + position >= depth
                yield blocks[first], tail == False  # noqa: E712 (also an array or a trace)
                yield blocks[last], tail

    def _units(
        self,
        name: str,
        stage: str,
        block: Block,
        inputs: tuple[Interface, ...],
        fields: Mapping[str, Num],
        active: Num,
        reads: tuple[str, ...],
    ) -> Interface:
        for member in block.members:
            if not member.unit.joins:
                for converter in converters(inputs[0].layout, member.unit.takes, block.name):
                    inputs = (self._unit(name, stage, _converter(converter), inputs, fields, active, reads),)
                    reads = ()
            inputs = (self._unit(name, stage, member, inputs, fields, active, reads),)
            fields, reads = {**fields, "stride": 1}, ()
        return inputs[0]

    def _unit(
        self,
        name: str,
        stage: str,
        member: Member,
        inputs: tuple[Interface, ...],
        fields: Mapping[str, Num],
        active: Num,
        reads: tuple[str, ...] = (),
    ) -> Interface:
        unit = member.unit
        if unit.joins:
            odd = next((inp for inp in inputs if inp.layout != unit.takes), None)
            if odd is not None:
                raise NasError(f"block {unit.kind!r} takes {unit.takes.words}, not {odd.layout.words}.")
        elif len(inputs) > 1:
            raise NasError(
                f"block {unit.kind!r} takes one stream, not {', '.join(reads)}; a block that joins can."
            )
        own = {**fields, **{key: fields[member.of_block(key)] for key in unit.fields if member.fields}}
        sizes, out = unit.plan(list(inputs) if unit.joins else inputs[0], own)
        self.slots.append(
            Slot(f"{name}.{member.role}", stage, unit, sizes, active, inputs, out, self.form, reads)
        )
        return out


def _field(scope: Scope, part: Part, name: str, position: int) -> Num:
    """A field of the block at `position`, words as their index."""
    source, spec = part.fields[name], part.specs[name]
    if not spec.heads:
        value = scope.value(source, part.name, position)
        return index_of(spec.words, value) if spec.words else value
    values = scope.by_head(source, part.name, position)
    codes = [index_of(spec.words, value) if spec.words else value for value in values]
    return pack(codes, _field(scope, part, spec.heads, position))


def _converter(unit: type[Unit]) -> Member:
    return Member(unit.kind, unit)


def _held(slots: list[Slot], streams: Mapping[str, Interface], outputs: Sequence[str]) -> list[Slot]:
    """The slots with the elements of kept streams that are alive beside their inputs.

    A kept stream counts from the first layer that hands on something else to the last position that reads it.
    """
    for name, interface in streams.items():
        readers = [slot.place for slot in slots if name in slot.reads]
        if not readers and name not in outputs:
            continue
        start = next((i + 1 for i, slot in enumerate(slots) if name in slot.keeps), 0)
        last = None if name in outputs else readers[-1]
        same: Num = True  # whether what the layer before hands on still is the kept tensor
        for index in range(start, len(slots)):
            slot = slots[index]
            if slot.place == last:
                break
            if name not in slot.reads:
                fresh = same if not slot.reads else False
                slots[index] = replace(slot, held=slot.held + where(fresh, 0, interface.elements))
            same = same & logical_not(slot.active) if same is not False else False
    return slots


def largest(depth: Any) -> int:
    """Largest depth of one or many networks (a trace knows none beyond the space's)."""
    if isinstance(depth, np.ndarray):
        return int(depth.max()) if depth.size else 0
    return depth if isinstance(depth, int) else 0
