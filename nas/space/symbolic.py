"""Symbolic lowering: a space is lowered once, and its layers' sizes are kept as expressions over decisions.

What a layer's sizes are for some values of its decisions is then computed from these expressions alone,
without lowering the layers before it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from nas.arith import Traced, deps_of, evaluate
from nas.space.decision import Decision
from nas.space.lowering import Slot, lower
from nas.space.space import Space


@dataclass(frozen=True)
class Layers:
    """Values of one slot on a grid of decisions.

    Attributes:
        active: whether the layer is there, bool `(n,)`.
        sizes: an array `(n,)` per key of its unit, and of the elements held beside it where streams are.
    """

    active: NDArray[np.bool_]
    sizes: dict[str, NDArray[Any]]

    @classmethod
    def of(cls, slot: Slot, n: int) -> Layers:
        """A slot of a batch of `n` archs, what is the same for all of them repeated."""
        active = np.broadcast_to(np.asarray(slot.active, dtype=bool), (n,))
        return cls(active, {key: np.broadcast_to(np.asarray(v), (n,)) for key, v in slot.amounts.items()})


@dataclass(frozen=True)
class Symbolic:
    """The slots of a space as expressions.

    Attributes:
        slots: sizes and `active` are traces, or plain where they depend on no decision; as many, and in the order,
            as `lower` gives for a batch.
        dependent: decisions (indices, ascending) that each slot's sizes, and whether it is there, depend on.
        decisions: of the space.
    """

    slots: tuple[Slot, ...]
    dependent: tuple[tuple[int, ...], ...] = field(init=False)
    decisions: tuple[Decision, ...]

    def __post_init__(self) -> None:
        dependent = tuple(tuple(sorted(deps_of(s.active, *s.amounts.values()))) for s in self.slots)
        object.__setattr__(self, "dependent", dependent)

    def on_grid(self, deps: Sequence[int], indices: Sequence[int]) -> list[Layers]:
        """Values of the slots `indices` for every combination of the decisions `deps`, the last varying fastest.

        Args:
            deps: decisions, all that these slots depend on among them.
            indices: positions in `slots`.
        """
        shape = [len(self.decisions[d]) for d in deps]
        return self.at(deps, np.indices(shape).reshape(len(deps), prod(shape)), indices)

    def at(self, deps: Sequence[int], codes: NDArray[Any], indices: Sequence[int]) -> list[Layers]:
        """Values of the slots `indices` at `codes`, `(len(deps), n)`: positions in the values of each of `deps`."""
        leaves = {d: self.decisions[d].array[row] for d, row in zip(deps, codes, strict=True)}
        slots = [self.slots[index] for index in indices]
        values = evaluate([v for slot in slots for v in (slot.active, *slot.amounts.values())], leaves)
        rest, n = iter(values), codes.shape[1]
        return [
            Layers.of(
                replace(slot, active=next(rest), sizes={k: next(rest) for k in slot.amounts}, held=0), n
            )
            for slot in slots
        ]


_KNOWN: WeakKeyDictionary[Space, dict[tuple[float, int | None], Symbolic]] = WeakKeyDictionary()


def symbolic(space: Space, *, scale: float = 1.0, classes: int | None = None) -> Symbolic:
    """The slots of a space as expressions, made at first use.

    Args:
        scale: training resolution over deployment resolution.
        classes: number of classes, by default the deployment input's.

    Raises:
        NasError: a space without a network.
    """
    known = _KNOWN.setdefault(space, {})
    if (scale, classes) not in known:
        arch = space.sample(1, seed=0)
        if space.blueprint is None:
            space.lower(arch)
        assert space.blueprint is not None
        values = {
            d.name: Traced(d.values[int(arch.codes[0, i])], frozenset({i}))
            for i, d in enumerate(space.decisions)
        }
        slots = lower(space.blueprint, values, scale=scale, classes=classes)
        known[scale, classes] = Symbolic(tuple(slots), space.decisions)
    return known[scale, classes]


def slot_dependencies(space: Space) -> list[tuple[int, ...]]:
    """Decisions (indices, ascending) that decide each slot's sizes and whether it is there."""
    return list(symbolic(space).dependent)
