"""What expressions read, and their values on grids of decisions."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.space.decision import Decision
from nas.space.expression import Expression, as_mask
from nas.space.stage import PLACE, Chosen, Derived, Scope, Source

KEPT_GRIDS = 4


class Resolver:
    """Which decisions an expression reads, and its truth on a grid of them."""

    def __init__(self, decisions: Sequence[Decision], sources: Mapping[str, Source]) -> None:
        self.decisions, self.sources = decisions, sources
        self.index = {decision.name: position for position, decision in enumerate(decisions)}
        self._fields: dict[str, frozenset[int]] = {}
        self._grids: OrderedDict[tuple[int, ...], Scope] = OrderedDict()

    def scope(self, expression: Expression, stage: str = "") -> tuple[int, ...]:
        """Indices of the decisions `expression` depends on, ascending.

        Raises:
            RecursionError: fields are derived from each other in a circle.
        """
        names = Scope(self.index, self.sources, stage)
        full = [
            f"{stage}.depth" if stage and name in PLACE else names.full_name(name)
            for name in expression.names
        ]
        return tuple(sorted({i for name in full for i in self._read(name)}))

    def _read(self, name: str) -> frozenset[int]:
        """Decisions that a decision or field depends on."""
        if name in self.index:
            return frozenset({self.index[name]})
        if name not in self._fields:
            source = self.sources.get(name)
            if isinstance(source, Derived):
                self._fields[name] = frozenset(self.scope(source.expression, name.split(".")[0]))
            elif isinstance(source, Chosen):
                self._fields[name] = frozenset({self.index[source.name]})
            else:
                self._fields[name] = frozenset()
        return self._fields[name]

    def grid(self, scope: Sequence[int]) -> dict[str, NDArray[Any]]:
        """Every combination of the decisions in `scope`, as flat arrays by name."""
        axes = np.meshgrid(*[self.decisions[i].array for i in scope], indexing="ij")
        return {self.decisions[i].name: axis.ravel() for i, axis in zip(scope, axes, strict=True)}

    def truth(self, expression: Expression, scope: Sequence[int], stage: str = "") -> NDArray[np.bool_]:
        """Table of `expression` over all combinations of `scope`, one axis per decision."""
        shape = tuple(len(self.decisions[i]) for i in scope)
        return as_mask(self.values(expression, scope, stage), prod(shape)).reshape(shape).copy()

    def values(
        self,
        expression: Expression,
        scope: Sequence[int],
        stage: str = "",
        position: int | None = None,
        depth: int = 1,
    ) -> Any:
        """Value of `expression` for every combination of `scope`, flat, or one value for all of them.

        Args:
            position: of the block it is for, if it reads its place.
            depth: of the stage, where no decision says it.
        """
        values = self._on_grid(tuple(scope)).within(stage)
        if position is not None:
            deep = self.grid(scope).get(f"{stage}.depth", depth)
            values = values.at(position, deep)
        return expression(values)

    def _on_grid(self, scope: tuple[int, ...]) -> Scope:
        """Values on the grid of `scope`; kept for the next few fields, which may be derived from the same ones."""
        if scope not in self._grids:
            self._grids[scope] = Scope(self.grid(scope), self.sources)
            if len(self._grids) > KEPT_GRIDS:
                self._grids.popitem(last=False)
        self._grids.move_to_end(scope)
        return self._grids[scope]


def cells(decisions: Sequence[Decision], scope: Sequence[int]) -> int:
    """Number of combinations of the decisions in `scope`."""
    return prod(len(decisions[i]) for i in scope)
