"""Rules and canonical form as factors for elimination, or as checks for what cannot be eliminated."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Any

import numpy as np

from nas.space.elimination import MAX_CELLS, Factor
from nas.space.expression import Expression, as_mask, parse
from nas.space.resolver import Resolver, cells


@dataclass(frozen=True)
class Rule:
    """An expression that must hold.

    Attributes:
        expression: over decisions and fields.
        why: reason, as written in the file.
        scope: decision indices it reads, derived fields resolved.
        is_global: checked by bounded rejection, not by elimination.
    """

    expression: Expression
    why: str
    scope: tuple[int, ...]
    is_global: bool


class FactorBuilder:
    """Factors of rules and canonical form; sums get auxiliary running totals."""

    def __init__(self, resolver: Resolver) -> None:
        self.resolver = resolver
        self.sizes = [len(decision) for decision in resolver.decisions]
        self.factors: list[Factor] = []
        self.place: list[float] = [float(i) for i in range(len(self.sizes))]

    def canonical(self) -> None:
        """A decision without effect takes its first value."""
        for index, decision in enumerate(self.resolver.decisions):
            if decision.active_when is None:
                continue
            expression = parse(decision.active_when)
            scope = tuple(sorted({*self.resolver.scope(expression), index}))
            if cells(self.resolver.decisions, scope) > MAX_CELLS:
                self._add_any(expression, index)
                continue
            active = self.resolver.truth(expression, scope)
            first = np.indices(active.shape)[scope.index(index)] == 0
            self.factors.append(Factor(scope, active | first))

    def _add_any(self, expression: Expression, index: int) -> None:
        """A wide `or` as running truths: whether any of the parts so far holds."""
        running = -1
        for part in expression.disjuncts():
            scope = self.resolver.scope(part)
            holds = self.resolver.truth(part, scope)
            truth = len(self.sizes)
            self.sizes.append(2)
            self.place.append(max([*scope, *([self.place[running]] if running >= 0 else [])]) + 0.5)
            if running < 0:
                table = np.stack([~holds, holds], axis=-1)
                self.factors.append(Factor((*scope, truth), table))
            else:
                after = np.stack([holds, np.ones_like(holds)], axis=-1)
                table = np.stack([~after, after], axis=-1)
                self.factors.append(Factor((*scope, running, truth), table))
            running = truth
        self.place[index] = max(self.place[index], self.place[running] + 0.25)
        first = np.arange(self.sizes[index]) == 0
        self.factors.append(Factor((index, running), np.stack([first, np.ones_like(first)], axis=-1)))

    def add(self, expression: Expression) -> list[Expression]:
        """Add the conjuncts of a rule; returns those too wide for a table and for running totals."""
        wide = []
        for part in expression.conjuncts():
            scope = self.resolver.scope(part)
            if cells(self.resolver.decisions, scope) <= MAX_CELLS:
                self.factors.append(Factor(scope, self.resolver.truth(part, scope)))
            elif not self._add_sum(part):
                wide.append(part)
        return wide

    def _add_sum(self, part: Expression) -> bool:
        terms = linear_terms(part)
        if terms is None:
            return False
        weights, check = terms
        running, totals = -1, np.zeros(1)
        last = 0.0
        for name, weight in weights.items():
            if name not in self.resolver.index:
                return False
            variable = self.resolver.index[name]
            last = max(last, self.place[variable])
            values = self.resolver.decisions[variable].array * weight
            sums = (totals[:, None] + values[None, :]) if running >= 0 else values[None, :]
            new_totals = np.unique(sums)
            if len(new_totals) * sums.size > MAX_CELLS:
                return False
            fits = sums[:, :, None] == new_totals[None, None, :]
            auxiliary = len(self.sizes)
            self.sizes.append(len(new_totals))
            self.place.append(last + 0.5)
            axes = (variable, auxiliary) if running < 0 else (running, variable, auxiliary)
            table = fits[0] if running < 0 else fits
            order = np.argsort(axes)
            self.factors.append(Factor(tuple(sorted(axes)), table.transpose(tuple(order))))
            running, totals = auxiliary, new_totals
        self.factors.append(Factor((running,), as_mask(check(totals), len(totals)).copy()))
        return True

    def order(self) -> list[int]:
        """Elimination order that lets decisions be drawn first to last, totals after their terms."""
        return sorted(range(len(self.sizes)), key=lambda v: -self.place[v])


def linear_terms(expression: Expression) -> tuple[dict[str, float], Any] | None:
    """`a + 2 * b + c <= 7` as its weights and a check of the total; None if it is not of that form."""
    node = expression._node
    if not (isinstance(node, ast.Compare) and len(node.ops) == 1):
        return None
    right = node.comparators[0]
    if not isinstance(right, ast.Constant) or not isinstance(right.value, (int, float)):
        return None
    weights: dict[str, float] = {}
    if not _collect_terms(node.left, weights):
        return None
    check = (
        parse(f"total {_SYMBOL[type(node.ops[0])]} {right.value!r}") if type(node.ops[0]) in _SYMBOL else None
    )
    return None if check is None else (weights, lambda total: check({"total": total}))


_SYMBOL: dict[type[ast.cmpop], str] = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
}


def _collect_terms(node: ast.expr, weights: dict[str, float]) -> bool:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _collect_terms(node.left, weights) and _collect_terms(node.right, weights)
    weight = 1.0
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult) and isinstance(node.left, ast.Constant):
        if not isinstance(node.left.value, (int, float)):
            return False
        weight, node = float(node.left.value), node.right
    if not isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)):
        return False
    name = ast.unparse(node)
    weights[name] = weights.get(name, 0.0) + weight
    return True
