"""What slimming may do to a network in one step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.search.strategies.drop_blocks import without_blocks
from nas.space.batch import ArchBatch, concatenate
from nas.space.choices import IDENTITY, choices_of, kept_positions
from nas.space.space import Space

Codes = NDArray[np.int64]


def all_actions(current: ArchBatch, step: int) -> ArchBatch:
    """Every decision changed alone: `step` values down if ordinal, to each other value if categorical.

    A depth goes down by any of the stage's blocks: what is left of the others moves up, see `drop_blocks`.
    """
    space, codes = current.space, current.codes.astype(np.int64)[0]
    active = space.active(current.codes)[0]
    changed, shallower = [], without_blocks(current, step)
    for index, decision in enumerate(space.decisions):
        if not active[index] or len(shallower.get(decision.name, ())):
            continue
        lower = [max(int(codes[index]) - step, 0)]
        others = [code for code in range(len(decision)) if code != codes[index]]
        for code in lower if decision.kind == "ordinal" else others:
            if code != codes[index]:
                row = codes.copy()
                row[index] = code
                changed.append(row)
    one_by_one = np.array(changed).reshape(len(changed), len(codes))
    found = [space.repair(ArchBatch(space, one_by_one)), *shallower.values()]
    return concatenate([batch for batch in found if len(batch)] or [current[np.arange(0)]]).unique()


class ImportantActions:
    """EfficientFormer's three actions (§4): identity at the least important position; the first block of the heaviest
    kind, the one its space lists last, becomes the kind listed before it; the least important stage narrower.

    Args:
        importance: of each position, by stage.
        step: how many positions or width steps one action takes.
    """

    def __init__(self, space: Space, importance: Mapping[str, Sequence[float]], step: int) -> None:
        self.space, self.step = space, step
        self.importance = {stage: np.asarray(values) for stage, values in importance.items()}
        self.choices = {stage: c for stage, c in choices_of(space).items() if stage in self.importance}
        self.ranks = {
            stage: sorted(range(len(values)), key=lambda i: (-values[i], i))
            for stage, values in importance.items()
        }

    def __call__(self, current: ArchBatch) -> ArchBatch:
        """The actions that are possible on `current`, at most three."""
        codes = current.codes.astype(np.int64)[0]
        found = [self._repeated(self._without_least, codes), self._repeated(self._lighter, codes)]
        found.append(self._narrower(codes))
        batches = [batch for batch in found if batch is not None]
        return concatenate(batches).unique() if batches else current[np.arange(0)]

    def _repeated(self, action: Any, codes: Codes) -> ArchBatch | None:
        reached = None
        for _ in range(self.step):
            changed = action(codes)
            if changed is None:
                break
            reached, codes = changed, changed.codes.astype(np.int64)[0]
        return reached

    def _without_least(self, codes: Codes) -> ArchBatch | None:
        """Without the least important position whose stage can do without it."""
        there = [
            (float(self.importance[stage][kept]), self.choices[stage][index])
            for stage in self.choices
            for index, kept in enumerate(self._kept(stage, codes))
        ]
        for _, choice in sorted(there, key=lambda pair: pair[0]):
            changed = self._changed(codes, {choice.decision: choice.values.index(IDENTITY)})
            if changed is not None:
                return changed
        return None

    def _lighter(self, codes: Codes) -> ArchBatch | None:
        for choices in self.choices.values():
            last = len(choices[0].values) - 1
            if choices[0].values[last - 1] == IDENTITY:
                continue
            for choice in choices:
                if codes[self.space.index[choice.decision]] == last:
                    changed = self._changed(codes, {choice.decision: last - 1})
                    if changed is not None:
                        return changed
        return None

    def _narrower(self, codes: Codes) -> ArchBatch | None:
        """The least important stage that can be narrower, its importance being the sum of its positions'."""
        sums = {s: float(self.importance[s][self._kept(s, codes)].sum()) for s in self.choices}
        for stage in sorted(sums, key=lambda name: sums[name]):
            width = self.space.index.get(f"{stage}.width")
            if width is None or codes[width] == 0:
                continue
            changed = self._changed(codes, {f"{stage}.width": max(int(codes[width]) - self.step, 0)})
            if changed is not None:
                return changed
        return None

    def _kept(self, stage: str, codes: Codes) -> list[int]:
        """Positions of the supernet that are left, in order."""
        choices = self.choices[stage]
        depth = sum(codes[self.space.index[c.decision]] != c.values.index(IDENTITY) for c in choices)
        return kept_positions(self.ranks[stage], int(depth))

    def _changed(self, codes: Codes, new: Mapping[str, int]) -> ArchBatch | None:
        """The codes with some decisions changed; None where that breaks a rule."""
        row = codes.copy()
        for name, code in new.items():
            row[self.space.index[name]] = code
        batch = self.space.decode(row[None, :])
        return batch if self.space.valid(batch)[0] else None
