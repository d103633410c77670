"""Archs and arch batches: assignments of all decisions of a space."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from nas.space.decision import Value

if TYPE_CHECKING:
    from nas.space.space import Space

Codes = NDArray[np.int16]


class Arch:
    """One architecture: a value for every decision that has an effect. Immutable, hashable.

    Its values may lie outside the space's ranges (a published preset); such an arch can be built and costed
    but is no member of the space.
    """

    __slots__ = ("_id", "_values", "space")

    def __init__(self, space: Space, values: Mapping[str, Value]) -> None:
        self.space = space
        self._values = {name: values[name] for name in sorted(values)}
        self._id = f"{int(sum_hashes(self._values)):016x}"

    @property
    def id(self) -> str:
        """16 hexadecimal digits, from names and values."""
        return self._id

    @property
    def values(self) -> dict[str, Value]:
        """Value of every decision that has an effect, in the space's order."""
        return {d.name: self._values[d.name] for d in self.space.decisions if d.name in self._values}

    def __getitem__(self, name: str) -> Value:
        return self._values[name]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Arch) and self._values == other._values

    def __hash__(self) -> int:
        return hash(self._id)

    def __repr__(self) -> str:
        return f"Arch({self._id}, {self.values})"


class ArchBatch:
    """Many archs of one space as an array.

    Attributes:
        space: the space they belong to.
        codes: int16 `(n, n_decisions)`: position of each chosen value in its decision's values. Canonical:
            decisions without effect hold 0.
    """

    def __init__(self, space: Space, codes: NDArray[Any]) -> None:
        self.space = space
        self.codes: Codes = np.ascontiguousarray(codes, dtype=np.int16)
        if self.codes.ndim != 2 or self.codes.shape[1] != len(space.decisions):
            raise ValueError(f"codes must be (n, {len(space.decisions)}), not {self.codes.shape}")
        self.codes.setflags(write=False)

    @classmethod
    def of(cls, space: Space, rows: Sequence[Sequence[int]]) -> ArchBatch:
        """A batch of canonical codes as plain data, as states keep them; `rows` may be empty."""
        return cls(space, np.array(rows, dtype=np.int16).reshape(-1, len(space.decisions)))

    def __len__(self) -> int:
        return len(self.codes)

    @overload
    def __getitem__(self, index: int | np.integer[Any]) -> Arch: ...
    @overload
    def __getitem__(self, index: slice | NDArray[Any] | Sequence[int]) -> ArchBatch: ...
    def __getitem__(self, index: Any) -> Arch | ArchBatch:
        if isinstance(index, (int, np.integer)):
            return Arch(self.space, self._dict(int(index)))
        return ArchBatch(self.space, self.codes[index])

    def __iter__(self) -> Iterator[Arch]:
        return (self[index] for index in range(len(self)))

    def _dict(self, row: int) -> dict[str, Value]:
        codes, active = self.codes[row], self.space.active(self.codes[row : row + 1])[0]
        return {d.name: d.values[c] for d, c, on in zip(self.space.decisions, codes, active) if on}

    def to_dicts(self) -> list[dict[str, Value]]:
        """Value by decision name for each arch; decisions without effect are left out."""
        active = self.space.active(self.codes)
        names = [d.name for d in self.space.decisions]
        tables = [d.values for d in self.space.decisions]
        return [
            {name: table[code] for name, table, code, on in zip(names, tables, codes, flags) if on}
            for codes, flags in zip(self.codes.tolist(), active.tolist())
        ]

    @cached_property
    def hashes(self) -> NDArray[np.uint64]:
        """64-bit identities, `(n,)`; equal networks have equal ones."""
        hashes, begins = self.space.hash_tables
        each = hashes[self.codes + begins]
        return np.asarray(
            np.where(self.space.active(self.codes), each, np.uint64(0)).sum(axis=1, dtype=np.uint64)
        )

    @property
    def ids(self) -> list[str]:
        """Identity of each arch, 16 hexadecimal digits."""
        return [f"{value:016x}" for value in self.hashes.tolist()]

    def unique(self) -> ArchBatch:
        """Each distinct arch once, in order of first appearance."""
        _, first = np.unique(self.hashes, return_index=True)
        return self[np.sort(first)]

    def without(self, hashes: NDArray[np.uint64]) -> ArchBatch:
        """The archs whose identities are not among `hashes`."""
        return self[np.flatnonzero(~np.isin(self.hashes, hashes))]


def concatenate(batches: Sequence[ArchBatch]) -> ArchBatch:
    """Several batches of one space as one."""
    return ArchBatch(batches[0].space, np.concatenate([batch.codes for batch in batches]))


def value_hash(name: str, value: Value) -> int:
    """64-bit hash of one decision's value; equal numbers hash equally whatever their type."""
    text = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
    return int.from_bytes(hashlib.blake2b(f"{name}={text}".encode(), digest_size=8).digest(), "little")


def sum_hashes(values: Mapping[str, Value]) -> int:
    """Identity of an assignment: order of decisions does not matter, only names and values."""
    return sum(value_hash(name, value) for name, value in values.items()) % 2**64
