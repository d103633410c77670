"""Dropping blocks of a stage: which architectures are left when some neighbouring ones go.

Source: EfficientFormerV2 (Li et al. 2023, §3.3), action `A_N[i, j]`: block i of stage j is dropped. A depth says how
many blocks a stage has, not which of a larger network's they are: what is left moves up with its own choices
(expansions) and its own kind (attention or not). The architecture is the one that the cut leaves; its weights are those
that a supernet has for the positions of this architecture, not those of the blocks that stayed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nas.space.batch import ArchBatch
from nas.space.space import Space
from nas.space.stage import Chosen, Const, Stage, Suffix

Codes = NDArray[np.int64]


def without_blocks(current: ArchBatch, step: int) -> dict[str, ArchBatch]:
    """What is left of `current` without any neighbouring blocks of a stage, by the name of the stage's depth.

    Args:
        current: one arch.
        step: by how many values the depth goes down.

    Returns:
        Different valid archs, in the order of the blocks; none for depths that cannot go down.
    """
    space, codes = current.space, current.codes.astype(np.int64)[0]
    rows: dict[str, list[Codes]] = {}
    for stage in space.blueprint.stages if space.blueprint else ():
        if isinstance(stage.depth, Chosen):
            rows[stage.depth.name] = _left(space, stage, stage.depth.name, codes, step)
    every = [row for left in rows.values() for row in left]
    batch = space.decode(np.array(every, dtype=np.int64).reshape(len(every), len(codes)))
    valid, ends = space.valid(batch), np.cumsum([len(left) for left in rows.values()])
    parts = np.split(np.arange(len(every)), ends[:-1])
    return {depth: batch[part[valid[part]]].unique() for depth, part in zip(rows, parts)}


def _left(space: Space, stage: Stage, depth: str, codes: Codes, step: int) -> list[Codes]:
    """Rows of codes, which may break rules."""
    values, code = space.decisions[space.index[depth]].array, int(codes[space.index[depth]])
    deep, left = int(values[code]), int(values[max(code - step, 0)])
    rows: list[Codes] = []
    for first in range(_first(stage), left + 1) if left < deep else ():
        row = codes.copy()
        row[space.index[depth]] = max(code - step, 0)
        kept = [*range(first), *range(first + deep - left, deep)]
        if _recount(space, stage, row, deep, kept):
            _move_up(space, stage, row, deep, kept)
            rows.append(row)
    return rows


def _first(stage: Stage) -> int:
    """The first block that a stage can do without: not the one that makes its map smaller."""
    return 1 if stage.downsample is None and stage.stride > 1 else 0


def _recount(space: Space, stage: Stage, row: Codes, deep: int, kept: list[int]) -> bool:
    """Write down how many blocks of the suffix are left; whether that can be written."""
    block = stage.body.block
    if not isinstance(block, Suffix):
        return True
    if isinstance(block.count, Const):
        count = min(int(block.count.value), deep)
        return _after(deep - count, kept) == min(count, len(kept))
    index = space.index[block.count.name]
    counts = space.decisions[index].array
    left = np.flatnonzero(counts == _after(deep - min(int(counts[row[index]]), deep), kept))
    if len(left):
        row[index] = left[0]
    return bool(len(left))


def _after(begins: int, kept: list[int]) -> int:
    return sum(position >= begins for position in kept)


def _move_up(space: Space, stage: Stage, row: Codes, deep: int, kept: list[int]) -> None:
    """Give the blocks that are kept their own choices at their new positions."""
    for source in (stage.body.block, *stage.body.fields.values()):
        if isinstance(source, Chosen) and source.per_block:
            columns = [space.index[source.at(position)] for position in range(deep)]
            row[columns[: len(kept)]] = row[[columns[position] for position in kept]]
            row[columns[len(kept) :]] = 0
