"""Arithmetic that reads the same for integers, arrays and dependency traces.

A space's expressions and a block's sizes are written once, with ordinary operators and the functions
here, and evaluated on Python integers (one network), integer arrays (a batch) or `Traced` values (to
learn which decisions a size depends on).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

Num = Any
"""An `int`, a numpy array of shape `(n,)`, or a `Traced`."""


@dataclass(frozen=True, eq=False)
class Traced:
    """One number and the set of decisions (by index) that it was computed from."""

    value: Any
    deps: frozenset[int] = frozenset()

    def _with(self, other: Any, op: Callable[[Any, Any], Any], swap: bool = False) -> Traced:
        value = other.value if isinstance(other, Traced) else other
        deps = self.deps | other.deps if isinstance(other, Traced) else self.deps
        return Traced(op(value, self.value) if swap else op(self.value, value), deps)

    def __add__(self, other: Any) -> Traced:
        return self._with(other, operator.add)

    def __radd__(self, other: Any) -> Traced:
        return self._with(other, operator.add, swap=True)

    def __sub__(self, other: Any) -> Traced:
        return self._with(other, operator.sub)

    def __rsub__(self, other: Any) -> Traced:
        return self._with(other, operator.sub, swap=True)

    def __mul__(self, other: Any) -> Traced:
        return self._with(other, operator.mul)

    def __rmul__(self, other: Any) -> Traced:
        return self._with(other, operator.mul, swap=True)

    def __floordiv__(self, other: Any) -> Traced:
        return self._with(other, operator.floordiv)

    def __rfloordiv__(self, other: Any) -> Traced:
        return self._with(other, operator.floordiv, swap=True)

    def __mod__(self, other: Any) -> Traced:
        return self._with(other, operator.mod)

    def __rmod__(self, other: Any) -> Traced:
        return self._with(other, operator.mod, swap=True)

    def __neg__(self) -> Traced:
        return Traced(-self.value, self.deps)

    def __lt__(self, other: Any) -> Traced:
        return self._with(other, operator.lt)

    def __le__(self, other: Any) -> Traced:
        return self._with(other, operator.le)

    def __gt__(self, other: Any) -> Traced:
        return self._with(other, operator.gt)

    def __ge__(self, other: Any) -> Traced:
        return self._with(other, operator.ge)

    def __eq__(self, other: object) -> Traced:  # type: ignore[override]
        return self._with(other, operator.eq)

    def __ne__(self, other: object) -> Traced:  # type: ignore[override]
        return self._with(other, operator.ne)

    def __and__(self, other: Any) -> Traced:
        return self._with(other, lambda a, b: bool(a) and bool(b))

    __rand__ = __and__

    def __or__(self, other: Any) -> Traced:
        return self._with(other, lambda a, b: bool(a) or bool(b))

    __ror__ = __or__

    def __bool__(self) -> bool:
        for deps in _ASKED:
            deps |= self.deps
        return bool(self.value)

    def __index__(self) -> int:
        for deps in _ASKED:
            deps |= self.deps
        return int(self.value)

    __int__ = __index__

    def __hash__(self) -> int:
        return id(self)


_ASKED: list[set[int]] = []


@contextmanager
def asked() -> Iterator[set[int]]:
    """Collects the decisions that branches and loops ask traces about."""
    deps: set[int] = set()
    _ASKED.append(deps)
    try:
        yield deps
    finally:
        _ASKED.remove(deps)


def with_deps(value: Num, deps: frozenset[int]) -> Num:
    """`value`, which depends on `deps` too; a value without further dependencies is returned as it is."""
    if not deps:
        return value
    return replace(value, deps=value.deps | deps) if isinstance(value, Traced) else Traced(value, deps)


def deps_of(*values: Num) -> frozenset[int]:
    """Union of the decisions that traced values depend on (plain numbers depend on none)."""
    found: frozenset[int] = frozenset()
    for value in values:
        if isinstance(value, Traced):
            found |= value.deps
    return found


def where(condition: Num, then: Num, otherwise: Num) -> Num:
    """Elementwise choice; the very same object on both sides is returned unchanged."""
    if then is otherwise:
        return then
    if isinstance(condition, (bool, np.bool_)):
        return then if condition else otherwise
    operands = (condition, then, otherwise)
    if any(isinstance(item, Traced) for item in operands):
        plain = [item.value if isinstance(item, Traced) else item for item in operands]
        return Traced(plain[1] if plain[0] else plain[2], deps_of(*operands))
    return np.where(condition, then, otherwise)


def maximum(a: Num, b: Num) -> Num:
    """Elementwise larger of two."""
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return np.maximum(a, b)
    return where(a >= b, a, b)


def minimum(a: Num, b: Num) -> Num:
    """Elementwise smaller of two."""
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return np.minimum(a, b)
    return where(a <= b, a, b)


def ceil_div(a: Num, b: Num) -> Num:
    """`⌈a / b⌉` of non-negative integers; a division by the literal 1 is `a` itself."""
    if isinstance(b, int) and b == 1:
        return a
    return (a + b - 1) // b


def logical_not(a: Num) -> Num:
    """Elementwise negation of a truth value."""
    if isinstance(a, Traced):
        return Traced(not a.value, a.deps)
    return np.logical_not(a) if isinstance(a, np.ndarray) else not a
