"""Expressions over decisions, parsed to a small whitelisted grammar and evaluated on arrays.

Allowed: numbers, quoted words, decision names (`C1.width`, `resolution`, `S.kernel[2]`), `+ - * / // %`,
comparisons (also chained, also `in [..]`), `and`, `or`, `not`, and the functions `min`, `max`, `ceil_div`.
`a / b` is a division that must come out whole. Nothing is ever passed to Python's `eval`.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

from nas.arith import Num, Traced, ceil_div, logical_not, maximum, minimum
from nas.errors import shortened


class ExpressionError(ValueError):
    """An expression that is not in the grammar, or has no value for some decisions."""


MAX_NUMBER = 10**9
LONGEST = 2_000
"""Characters of an expression; the longest one that ships has 70."""
EXACT = 2**53
"""Whole numbers up to here are exact in every array, sums and products of them included."""


def _exactly(op: Callable[[Num, Num], Num]) -> Callable[[Num, Num], Num]:
    """An operator whose results stay within what arrays hold exactly; 64-bit numbers would wrap around in silence."""

    def apply(a: Num, b: Num) -> Num:
        if type(a) is int and type(b) is int:
            result = op(a, b)
            if not -EXACT <= result <= EXACT:
                raise ExpressionError(_inexact(result))
            return result
        plain = [item.value if isinstance(item, Traced) else item for item in (a, b)]
        if all(not isinstance(item, np.ndarray) or item.dtype.kind in "iufb" for item in plain):
            with np.errstate(over="ignore", invalid="ignore"):
                largest = np.abs(op(*[np.asarray(item, dtype=np.float64) for item in plain])).max(initial=0.0)
            if not largest <= EXACT:
                raise ExpressionError(_inexact(largest))
        return op(a, b)

    return apply


def _nonzero(b: Num) -> Num:
    if np.any((b.value if isinstance(b, Traced) else b) == 0):
        raise ExpressionError("a division by zero")
    return b


def _exact(a: Num, b: Num) -> Num:
    remainder = a % _nonzero(b)
    plain = remainder.value if isinstance(remainder, Traced) else remainder
    if np.any(plain != 0):
        raise ExpressionError("a division '/' does not come out whole; write '//' to round down")
    return a // b


def _inexact(value: float) -> str:
    return f"a value of {value:.3g}, beyond 2**53 (9e15), up to which numbers are exact"


_BINARY: dict[type[ast.operator], Callable[[Num, Num], Num]] = {
    ast.Add: _exactly(operator.add),
    ast.Sub: _exactly(operator.sub),
    ast.Mult: _exactly(operator.mul),
    ast.FloorDiv: lambda a, b: a // _nonzero(b),
    ast.Div: _exact,
    ast.Mod: lambda a, b: a % _nonzero(b),
}
_COMPARE: dict[type[ast.cmpop], Callable[[Num, Num], Num]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_FUNCTIONS: dict[str, Callable[..., Num]] = {
    "min": minimum,
    "max": maximum,
    "ceil_div": lambda a, b: ceil_div(a, _nonzero(b)),
}


@dataclass(frozen=True)
class Expression:
    """A parsed expression.

    Attributes:
        text: as written.
        names: the decision names it reads, in order of appearance.
    """

    text: str
    names: tuple[str, ...]
    _node: ast.expr

    def __call__(self, values: Mapping[str, Num]) -> Num:
        """Value under `values` (numbers, arrays of one length, or traces).

        Raises:
            ExpressionError: it has none, such as a quotient by zero, or the sum of a word and a number.
        """
        try:
            return _evaluate(self._node, values)
        except TypeError:  # numpy's and Python's words on it name ufuncs and types
            raise ExpressionError("a word is no number; words are compared by ==, != and in") from None

    def conjuncts(self) -> list[Expression]:
        """The same truth as smaller expressions joined by `and`; chained comparisons are split."""
        return [_wrap(node) for node in _split(self._node)]

    def disjuncts(self) -> list[Expression]:
        """The same truth as smaller expressions joined by `or`."""
        node = self._node
        joined = isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or)
        return [part for value in node.values for part in _wrap(value).disjuncts()] if joined else [self]  # type: ignore[attr-defined]


def parse(text: str) -> Expression:
    """Parse `text`.

    Raises:
        ExpressionError: not in the grammar; the message says what is.
    """
    if not text.strip():
        raise ExpressionError("the expression is empty")
    if len(text) > LONGEST:
        raise ExpressionError(f"the expression has {len(text):,} characters; at most {LONGEST:,} are read")
    try:
        node = ast.parse(text.strip(), mode="eval").body
        _check(node)
        return _wrap(node, text.strip())
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        if isinstance(error, ExpressionError):
            raise
        raise ExpressionError(f"{shortened(text)!r} is not an expression") from None


def _wrap(node: ast.expr, text: str | None = None) -> Expression:
    names: dict[str, None] = {}
    _collect(node, names)
    return Expression(text if text is not None else ast.unparse(node), tuple(names), node)


def _name(node: ast.expr) -> str | None:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        base = _name(node.value)
        return f"{base}.{node.attr}" if base else None
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        base, index = _name(node.value), node.slice.value
        return f"{base}[{index}]" if base and isinstance(index, int) else None
    return None


def _children(node: ast.expr) -> list[ast.expr]:
    match node:
        case ast.BinOp(left=left, right=right):
            return [left, right]
        case ast.UnaryOp(operand=operand):
            return [operand]
        case ast.Compare(left=left, comparators=comparators):
            return [left, *comparators]
        case ast.BoolOp(values=values):
            return list(values)
        case ast.Call(args=args):
            return list(args)
        case ast.List(elts=elements) | ast.Tuple(elts=elements):
            return list(elements)
    return []


def _check(node: ast.expr) -> None:
    if _name(node) is not None:
        return
    if not _allowed(node):
        raise ExpressionError(
            f"{shortened(ast.unparse(node))!r} is not allowed; an expression may use names, numbers up to 1e9, "
            "+ - * / // %, comparisons, 'in [..]', and, or, not, min(a, b), max(a, b), ceil_div(a, b)"
        )
    for child in _children(node):
        _check(child)


def _is_word(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _allowed(node: ast.expr) -> bool:
    match node:
        case ast.Constant(value=value):
            return isinstance(value, str) or (isinstance(value, (int, float)) and abs(value) <= MAX_NUMBER)
        case ast.BinOp(op=op, left=left, right=right):
            return type(op) in _BINARY and not any(_is_word(side) for side in (left, right))
        case ast.UnaryOp(op=op):
            return isinstance(op, (ast.USub, ast.Not))
        case ast.Compare(ops=ops, comparators=comparators):
            return all(
                type(op) in _COMPARE
                or (isinstance(op, (ast.In, ast.NotIn)) and isinstance(right, (ast.List, ast.Tuple)))
                for op, right in zip(ops, comparators, strict=True)
            )
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
            return name in _FUNCTIONS and len(args) == 2
        case ast.BoolOp() | ast.List() | ast.Tuple():
            return True
    return False


def _collect(node: ast.expr, names: dict[str, None]) -> None:
    name = _name(node)
    if name is not None:
        names[name] = None
        return
    for child in _children(node):
        _collect(child, names)


def _split(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.And):
        return [part for value in node.values for part in _split(value)]
    if isinstance(node, ast.Compare) and len(node.ops) > 1:
        sides = [node.left, *node.comparators]
        return [
            ast.Compare(left, [op], [right])
            for left, op, right in zip(sides[:-1], node.ops, sides[1:], strict=True)
        ]
    return [node]


def _evaluate(node: ast.expr, values: Mapping[str, Num]) -> Num:
    name = _name(node)
    if name is not None:
        return values[name]
    match node:
        case ast.Constant(value=value):
            return value
        case ast.BinOp(left=left, op=op, right=right):
            return _BINARY[type(op)](_evaluate(left, values), _evaluate(right, values))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_evaluate(operand, values)
        case ast.UnaryOp(operand=operand):
            return logical_not(_evaluate(operand, values))
        case ast.BoolOp(op=op, values=parts):
            join = operator.and_ if isinstance(op, ast.And) else operator.or_
            return reduce(join, [_evaluate(part, values) for part in parts])
        case ast.Call(func=ast.Name(id=function), args=args):
            return _FUNCTIONS[function](*[_evaluate(arg, values) for arg in args])
        case ast.Compare(left=left, ops=ops, comparators=comparators):
            return _comparison(left, ops, comparators, values)
    raise ExpressionError(f"{shortened(ast.unparse(node))!r} has no value")


def _comparison(
    left: ast.expr, ops: list[ast.cmpop], comparators: list[ast.expr], values: Mapping[str, Num]
) -> Num:
    a, result = _evaluate(left, values), None
    for op, right in zip(ops, comparators, strict=True):
        if isinstance(op, (ast.In, ast.NotIn)):
            assert isinstance(right, (ast.List, ast.Tuple))
            truth = reduce(operator.or_, [a == _evaluate(item, values) for item in right.elts])
            truth = logical_not(truth) if isinstance(op, ast.NotIn) else truth
        else:
            b = _evaluate(right, values)
            truth, a = _COMPARE[type(op)](a, b), b
        result = truth if result is None else result & truth
    return result


def as_mask(result: Any, length: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """A rule's result as a boolean array of `length` rows."""
    return np.broadcast_to(np.asarray(result, dtype=bool), (length,))
