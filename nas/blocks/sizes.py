"""Sizes of a layer by attribute, for one layer or for a batch of layers.

Of a batch every size is an integer array, and arithmetic on sizes is arithmetic on arrays. Where a block branches or
loops on a size that differs over the batch, no single answer is right: `Split` says so, and whoever runs the block runs
it again for each value of that size. So a block's author writes plain Python and no masks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from nas.arith import Num


class Sizes(dict[str, Num]):
    """A dictionary whose entries are attributes too: `s.hidden`."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"there is no size {name!r}; there are {', '.join(self)}") from None


class Split(Exception):
    """A branch or loop asked about a size that differs over the batch.

    Attributes:
        values: the size of each layer of the batch, `(n,)`.
    """

    def __init__(self, values: NDArray[Any]) -> None:
        super().__init__()
        self.values = values


class Size(np.ndarray[Any, Any]):
    """One size over a batch, `(n,)`; asked for one truth value or one integer, it splits the batch."""

    @classmethod
    def of(cls, values: NDArray[Any]) -> Self | int:
        """The size; where all layers agree on it, an integer."""
        first = values[0]
        return int(first) if (values == first).all() else values.view(cls)

    def _single(self) -> Any:
        flat = np.asarray(self)
        if flat.ndim == 0 or (flat == flat[0]).all():
            return flat.flat[0]
        raise Split(flat)

    def __bool__(self) -> bool:
        return bool(self._single())

    def __index__(self) -> int:
        return int(self._single())

    def __int__(self) -> int:
        return int(self._single())

    def __float__(self) -> float:
        return float(self._single())

    def __round__(self) -> int:
        return round(self._single())

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(self._single())

    # A name for a size is no second size: `n += 1` makes a new one, as it does of an integer.

    def __iadd__(self, other: Any) -> Any:  # type: ignore[misc]
        return self + other

    def __isub__(self, other: Any) -> Any:  # type: ignore[misc]
        return self - other

    def __imul__(self, other: Any) -> Any:  # type: ignore[misc]
        return self * other

    def __ifloordiv__(self, other: Any) -> Any:  # type: ignore[misc]
        return self // other


def batch_length(sizes: Mapping[str, Num]) -> int | None:
    """Layers in a batch; None for the sizes of one layer."""
    lengths = {len(value) for value in sizes.values() if isinstance(value, np.ndarray) and value.ndim}
    if len(lengths) > 1:
        raise ValueError(f"sizes of one batch have different lengths: {sorted(lengths)}")
    return lengths.pop() if lengths else None
