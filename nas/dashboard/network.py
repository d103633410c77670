"""A network block by block: what it is made of, and what each part costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np

from nas.blocks.counting import macs, params
from nas.errors import NasError
from nas.latency.device import Device
from nas.latency.network import network_latency
from nas.latency.signature import size_word
from nas.metrics import PROVENANCES, Metric
from nas.space.batch import Arch
from nas.space.lowering import Slot
from nas.space.space import Space


@dataclass(frozen=True)
class Unit:
    """One timed layer.

    Attributes:
        sizes: each size in words: `{"h": "14", "act": "gelu"}`.
        macs: multiply-accumulates for one image; `params`: parameters, both as deployed.
        ms: on each device; NaN where it is unknown. `provenances`: how each was obtained.
    """

    kind: str
    sizes: dict[str, str]
    macs: int
    params: int
    ms: tuple[float, ...]
    provenances: tuple[str, ...]


@dataclass(frozen=True)
class Block:
    """What stands at one position of a stage.

    Attributes:
        name: `"T1 2"` for the second block of stage T1; `"T1 ↓"` for what makes its map smaller.
        channels: that it hands on; `side`: height and width of the map.
    """

    stage: str
    name: str
    channels: int
    side: tuple[int, int]
    units: tuple[Unit, ...]

    @property
    def macs(self) -> int:
        """Of all its units."""
        return sum(unit.macs for unit in self.units)

    def ms(self, device: int) -> float:
        """Latency of all its units on the device at that position."""
        return sum(unit.ms[device] for unit in self.units)


@dataclass(frozen=True)
class Network:
    """A network as it is drawn.

    Attributes:
        blocks: in order.
        devices: names, in the order of the units' times.
        latencies: of the whole network, which need not be the sum of its units; None where unknown.
        missing: why a device's times are not there, in words.
    """

    blocks: tuple[Block, ...]
    devices: tuple[str, ...]
    latencies: tuple[Metric | None, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def stages(self) -> list[str]:
        """Names of the stages, in order."""
        return list(dict.fromkeys(block.stage for block in self.blocks))


def network_data(space: Space, arch: Arch, devices: Sequence[Device] = ()) -> Network:
    """The blocks of one architecture at the space's deployment input.

    Args:
        arch: may lie outside the space (a preset).

    Raises:
        NasError: a space without a network behind it.
    """
    slots = [slot for slot in space.lower(arch) if slot.active]
    known, latencies, missing = [], [], []
    for device in devices:
        try:
            latencies.append(network_latency(device.units, slots, 1).metric(0))
            known.append(device)
        except NasError as error:
            missing.append(f"{device.name}: {error}")
    parts = [(place, [slot for _, slot in group]) for place, group in groupby(map(_placed, slots), _first)]
    blocks = tuple(_block(place, group, parts, known) for place, group in parts)
    return Network(blocks, tuple(device.name for device in known), tuple(latencies), tuple(missing))


def _placed(slot: Slot) -> tuple[str, Slot]:
    return slot.place, slot


def _first(item: tuple[str, Slot]) -> str:
    return item[0]


def _block(
    place: str, slots: Sequence[Slot], parts: Sequence[tuple[str, Any]], devices: Sequence[Device]
) -> Block:
    stage = slots[0].stage
    inner = place.removeprefix(f"{stage}.")
    alone = sum(other.rpartition(".")[0] == place.rpartition(".")[0] for other, _ in parts) == 1
    name = stage if alone else f"{stage} {int(inner.rpartition('.')[2]) + 1}"
    if "." in inner:
        name = f"{stage} ↓"
    streams = [stream for slot in slots for stream in slot.reads]
    name += f" ← {', '.join(streams)}" if streams else ""
    last = slots[-1]
    shown = last.out if last.out.layout.placed else last.inputs[0]  # of a classifier what it reads
    side, channels = (int(shown.h), int(shown.w)), int(shown.channels)
    return Block(stage, name, channels, side, tuple(_unit(slot, devices) for slot in slots))


def _unit(slot: Slot, devices: Sequence[Device]) -> Unit:
    times = []
    for device in devices:
        sizes = {key: np.array([int(value)]) for key, value in slot.sizes.items()}
        times.append(device.unit_times(slot.kind, sizes))
    return Unit(
        slot.kind,
        {key: size_word(slot.kind, key, int(value)) for key, value in slot.sizes.items()},
        int(macs(slot.unit, slot.sizes)),
        int(params(slot.unit, slot.sizes)),
        tuple(float(time.ms[0]) for time in times),
        tuple(PROVENANCES[int(time.provenance[0])] for time in times),
    )
