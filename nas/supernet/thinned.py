"""Architectures of which one training pass drops blocks: depth by stochastic drop path.

Source: EfficientFormerV2 (arXiv 2212.08059), §3.3: the supernet learns to do with fewer blocks because blocks are
left out at random while it trains. What is dropped is a whole residual position, for the whole batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nas.blocks.registry import CONVERTERS
from nas.space.batch import Arch
from nas.space.lowering import Slot
from nas.space.space import Space


@dataclass(frozen=True)
class Thinned:
    """An architecture without some of its positions.

    Attributes:
        dropped: their places, e.g. `S3.4`.
    """

    arch: Arch
    dropped: frozenset[str]


def droppable(space: Space, arch: Arch) -> list[str]:
    """Places of `arch` that hand on what they take, apart from the first position of each stage, in order.

    Positions that convert the layout, or read or keep a stream, are none: what follows needs it.
    """
    stages = {stage.name for stage in space.blueprint.stages} if space.blueprint else set()
    found: dict[str, list[Slot]] = {}
    for slot in space.lower(arch):
        if slot.active:
            found.setdefault(slot.place, []).append(slot)
    converters = set(CONVERTERS.values())
    return [
        place
        for place, slots in found.items()
        if place.rpartition(".")[0] in stages
        and not place.endswith(".0")
        and not any(slot.unit in converters or slot.reads or slot.keeps for slot in slots)
    ]


def thin(arch: Arch, places: list[str], rate: float, rng: np.random.Generator) -> Thinned:
    """`arch` with each of `places` dropped with probability `rate`, independently."""
    drawn = rng.random(len(places)) < rate
    return Thinned(arch, frozenset(place for place, gone in zip(places, drawn) if gone))
