"""Arithmetic that reads the same for integers, arrays and dependency traces.

A space's expressions and a block's sizes are written once, with ordinary operators and the functions
here, and evaluated on Python integers (one network), integer arrays (a batch) or `Traced` values (to
learn which decisions a size depends on, and to compute it later for any values of these alone).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

Num = Any
"""An `int`, a numpy array of shape `(n,)`, or a `Traced`."""


def _both(a: Any, b: Any) -> Any:
    return a & b if isinstance(a, np.ndarray) or isinstance(b, np.ndarray) else bool(a) and bool(b)


def _either(a: Any, b: Any) -> Any:
    return a | b if isinstance(a, np.ndarray) or isinstance(b, np.ndarray) else bool(a) or bool(b)


def _inverse(a: Any) -> Any:
    return np.logical_not(a) if isinstance(a, np.ndarray) else not a


def _choice(condition: Any, then: Any, otherwise: Any) -> Any:
    if isinstance(condition, np.ndarray):
        return np.where(condition, then, otherwise)
    return then if condition else otherwise


def _whole(a: Any) -> Any:
    return np.rint(a).astype(np.int64) if isinstance(a, np.ndarray) else round(a)


@dataclass(frozen=True, eq=False)
class Traced:
    """One number, the set of decisions (by index) that it was computed from, and how.

    Attributes:
        value: at the decisions' values of the trace.
        deps: decisions it depends on.
        op: computes it from `operands`; None for the value of a decision itself.
        operands: traces and plain numbers.
    """

    value: Any
    deps: frozenset[int] = frozenset()
    op: Callable[..., Any] | None = None
    operands: tuple[Any, ...] = ()

    @staticmethod
    def of(op: Callable[..., Any], *operands: Any) -> Traced:
        """What `op` makes of traces and plain numbers."""
        plain = [item.value if isinstance(item, Traced) else item for item in operands]
        return Traced(op(*plain), deps_of(*operands), op, operands)

    def _with(self, other: Any, op: Callable[[Any, Any], Any], swap: bool = False) -> Traced:
        return Traced.of(op, other, self) if swap else Traced.of(op, self, other)

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

    def __truediv__(self, other: Any) -> Traced:
        return self._with(other, operator.truediv)

    def __rtruediv__(self, other: Any) -> Traced:
        return self._with(other, operator.truediv, swap=True)

    def __mod__(self, other: Any) -> Traced:
        return self._with(other, operator.mod)

    def __rmod__(self, other: Any) -> Traced:
        return self._with(other, operator.mod, swap=True)

    def __neg__(self) -> Traced:
        return Traced.of(operator.neg, self)

    def __round__(self) -> Traced:
        return Traced.of(_whole, self)

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
        return self._with(other, _both)

    __rand__ = __and__

    def __or__(self, other: Any) -> Traced:
        return self._with(other, _either)

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

    def __float__(self) -> float:
        for deps in _ASKED:
            deps |= self.deps
        return float(self.value)

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
    sets = [value.deps for value in values if isinstance(value, Traced)]
    return sets[0].union(*sets[1:]) if sets else frozenset()


def evaluate(values: Sequence[Num], leaves: Mapping[int, Num]) -> list[Num]:
    """Values of traces for other values of their decisions; each step is computed once.

    Args:
        values: traces; plain numbers stay as they are.
        leaves: array `(n,)` of each decision, by index, that the traces depend on.
    """
    known: dict[int, Num] = {}
    # A stack of its own, for the trace of a long chain of stages is deeper than Python's.
    pending = [value for value in reversed(values) if isinstance(value, Traced)]
    while pending:
        node = pending[-1]
        missing = [x for x in node.operands if isinstance(x, Traced) and id(x) not in known]
        if missing:
            pending += missing
            continue
        pending.pop()
        if node.op is None:
            known[id(node)] = leaves[next(iter(node.deps))] if node.deps else node.value
        elif id(node) not in known:
            known[id(node)] = node.op(*[known[id(x)] if isinstance(x, Traced) else x for x in node.operands])
    return [known[id(value)] if isinstance(value, Traced) else value for value in values]


def where(condition: Num, then: Num, otherwise: Num) -> Num:
    """Elementwise choice; the very same object on both sides is returned unchanged."""
    if then is otherwise:
        return then
    if isinstance(condition, (bool, np.bool_)):
        return then if condition else otherwise
    if any(isinstance(item, Traced) for item in (condition, then, otherwise)):
        return Traced.of(_choice, condition, then, otherwise)
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
    return _ceil_div(a, b) if isinstance(a, Traced) and isinstance(b, int) else (a + b - 1) // b


@lru_cache(maxsize=4096)
def _ceil_div(a: Traced, b: int) -> Traced:
    """One trace for each map halved, so that blocks which are chosen between hand on the very same sides."""
    return (a + b - 1) // b


def divisible(a: Num, by: Num) -> Num:
    """The multiple of `by` nearest to `a`, at least `by` and nine tenths of `a` (MobileNet's rounding of channels)."""
    near = maximum((2 * a + by) // (2 * by) * by, by)
    return where(10 * near < 9 * a, near + by, near)


def logical_not(a: Num) -> Num:
    """Elementwise negation of a truth value."""
    return Traced.of(_inverse, a) if isinstance(a, Traced) else _inverse(a)
