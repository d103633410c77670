"""Decisions: named choices with a finite, ordered list of values."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Value = int | float | str
Kind = Literal["ordinal", "categorical"]


@dataclass(frozen=True)
class Decision:
    """One named choice.

    Attributes:
        name: unique in its space, e.g. `T1.width` or `S.kernel[2]` for the third block of a stage.
        values: what may be chosen, in ascending order if ordinal.
        kind: ordinal (numbers whose order means something) or categorical.
        active_when: expression over other decisions under which this one has an effect; None: always.
    """

    name: str
    values: tuple[Value, ...]
    kind: Kind = "ordinal"
    active_when: str | None = None
    _positions: dict[Value, int] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._positions.update({value: index for index, value in enumerate(self.values)})

    def __len__(self) -> int:
        return len(self.values)

    def code(self, value: Any) -> int | None:
        """Position of `value`, or None where it is not among the values."""
        try:
            return self._positions.get(value)
        except TypeError:
            return None

    @cached_property
    def array(self) -> NDArray[Any]:
        """The values as an array: int64, float64 or text."""
        return np.array(self.values)
