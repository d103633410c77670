"""Decisions of a space as nevergrad's parameters, by decision type.

All ordinal decisions are one integer-cast array over their positions, all categorical ones of a number of values one
repeated choice: nevergrad copies its parameters with every candidate, and a parameter per decision takes forty times
as long for thirty of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.space.decision import Decision

Codes = NDArray[np.int64]
SIGMAS = 6
"""Standard deviations of a mutation in the range of an ordinal decision: as nevergrad's bounded scalars have it."""


class Encoding:
    """The decisions of a space that are free.

    Args:
        decisions: of the space, in its order.

    Attributes:
        free: indices of those that have several values.
    """

    def __init__(self, decisions: Sequence[Decision]) -> None:
        self.free = [i for i, decision in enumerate(decisions) if len(decision) > 1]
        ordinal = [i for i in self.free if decisions[i].kind == "ordinal"]
        self._upper = np.array([len(decisions[i]) - 1.0 for i in ordinal])
        groups: dict[int, list[int]] = {}
        for i in self.free:
            if decisions[i].kind == "categorical":
                groups.setdefault(len(decisions[i]), []).append(i)
        self._choices = [(size, len(members)) for size, members in groups.items()]
        self._order = [*ordinal, *(i for members in groups.values() for i in members)]
        self._lengths = [*([len(ordinal)] if ordinal else []), *(count for _, count in self._choices)]

    def parameters(self, library: Any) -> Any:
        """The parametrization of an optimizer.

        Args:
            library: nevergrad.
        """
        p, parts = library.p, []
        if len(self._upper):
            array = p.Array(init=self._upper / 2).set_mutation(sigma=self._upper / SIGMAS)
            array = array.set_bounds(0.0 * self._upper, self._upper, full_range_sampling=True)
            parts.append(array.set_integer_casting())
        parts += [p.Choice(list(range(size)), repetitions=count) for size, count in self._choices]
        return p.Tuple(*parts)

    def codes(self, candidate: Any, width: int) -> Codes:
        """Positions of the values that a candidate asks for, `(width,)`, 0 where a decision is not free."""
        codes = np.zeros(width, dtype=np.int64)
        codes[self._order] = np.rint(np.concatenate([np.ravel(part) for part in candidate.value]))
        return codes

    def value(self, codes: Codes) -> tuple[Any, ...]:
        """The value of a candidate that asks for positions `(width,)`."""
        parts = np.split(codes[self._order], np.cumsum(self._lengths)[:-1])
        arrays = 1 if len(self._upper) else 0
        return (
            *(part.astype(float) for part in parts[:arrays]),
            *(tuple(p.tolist()) for p in parts[arrays:]),
        )
