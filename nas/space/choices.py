"""Positions at which a network chooses between blocks: what relaxed training weighs and slimming removes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nas.errors import NasError
from nas.space.batch import ArchBatch
from nas.space.space import Space
from nas.space.stage import Chosen

IDENTITY = "identity"


@dataclass(frozen=True)
class Choice:
    """The blocks of one position.

    Attributes:
        stage: the stage it belongs to.
        position: its place in the stage, from 0.
        decision: name of the decision that chooses, e.g. `S3.block[4]`.
        values: the blocks, in the space's order; `identity` is one of them.
    """

    stage: str
    position: int
    decision: str
    values: tuple[str, ...]

    @property
    def place(self) -> str:
        """What the names of its layers begin with."""
        return f"{self.stage}.{self.position}"


def choices_of(space: Space) -> dict[str, tuple[Choice, ...]]:
    """The choices of each stage that decides on a block for each position, identity among them; others are left out."""
    found: dict[str, tuple[Choice, ...]] = {}
    for stage in space.blueprint.stages if space.blueprint else ():
        source = stage.body.block
        if not isinstance(source, Chosen) or not source.per_block:
            continue
        names = [source.at(position) for position in range(stage.max_depth)]
        values = tuple(str(value) for value in space.decisions[space.index[names[0]]].values)
        if IDENTITY in values:
            found[stage.name] = tuple(
                Choice(stage.name, position, name, values) for position, name in enumerate(names)
            )
    return found


def needed_choices(space: Space) -> dict[str, tuple[Choice, ...]]:
    """The same of a space that must have some.

    Raises:
        NasError: it has none.
    """
    found = choices_of(space)
    if not found:
        raise NasError(
            f"space {space.name!r} has no stage that chooses a block per position with 'identity' among them "
            "(block: {values: [identity, …], per: block}), so there is nothing to relax: choose another "
            "train.sampler.name."
        )
    return found


def kept_positions(ranks: Sequence[int], depth: int) -> list[int]:
    """The `depth` most important positions in the order of the network; `ranks` begins with the most important."""
    return sorted(ranks[:depth])


def heaviest(space: Space) -> ArchBatch:
    """The one arch with the largest ordinal values and, at each position that chooses a block, the one listed last."""
    blocks = {choice.decision for found in choices_of(space).values() for choice in found}
    codes = [len(d) - 1 if d.kind == "ordinal" or d.name in blocks else 0 for d in space.decisions]
    return space.repair(ArchBatch(space, np.array([codes])))
