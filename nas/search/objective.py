"""Objectives and constraints as users write them: `accuracy:max`, `latency@pixel6<=20ms`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.errors import NasError, unprovided
from nas.metrics import Direction
from nas.quantity import parse_quantity

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class MetricKind:
    """Unit and natural direction of a metric, whether it costs an evaluation, and whether it is always above 0."""

    unit: str
    direction: Direction
    cheap: bool
    positive: bool = True


KINDS: dict[str, MetricKind] = {
    "accuracy": MetricKind("fraction", "max", cheap=False),
    "loss": MetricKind("nats", "min", cheap=False),
    "latency": MetricKind("ms", "min", cheap=True),
    "macs": MetricKind("MACs", "min", cheap=True),
    "params": MetricKind("params", "min", cheap=True),
    "memory": MetricKind("bytes", "min", cheap=True),
    "train_params": MetricKind("params", "min", cheap=True),
}
OTHER_NAMES = {
    **dict.fromkeys(("flops", "flop", "mflops", "gflops", "mac", "madds", "mult_adds", "mac_count"), "macs"),
    **dict.fromkeys(("acc", "top1", "top_1", "top-1", "acc1", "error"), "accuracy"),
    **dict.fromkeys(("parameters", "parameter", "param", "n_params", "size", "weights"), "params"),
    **dict.fromkeys(("time", "lat", "delay", "runtime", "speed", "ms"), "latency"),
    **dict.fromkeys(("ram", "mem", "peak_memory", "activations"), "memory"),
}
_CONSTRAINT = re.compile(r"\s*([A-Za-z_][\w-]*(?:@[\w.-]+)?)\s*(<=|>=|<|>|==|=)\s*(.+?)\s*\Z")


def kind_of(name: str) -> MetricKind:
    """The kind of metric `name`, `latency@pixel6` being a latency.

    Raises:
        NasError: unknown metric.
    """
    base = name.split("@")[0]
    if base not in KINDS or ("@" in name and base != "latency"):
        meant = OTHER_NAMES.get(base.lower())
        if meant is not None:
            known = ", ".join(sorted([*KINDS, "latency@DEVICE"]))
            raise NasError(f"unknown metric {name!r}. Did you mean {meant!r}? Known: {known}.")
        raise NasError(unprovided("metric", name, [*KINDS, "latency@DEVICE"]))
    return KINDS[base]


@dataclass(frozen=True)
class Objective:
    """A metric to minimise or maximise."""

    metric: str
    direction: Direction

    @property
    def unit(self) -> str:
        """Unit of the metric."""
        return kind_of(self.metric).unit

    @property
    def cheap(self) -> bool:
        """Whether it follows from the architecture alone."""
        return kind_of(self.metric).cheap

    def __str__(self) -> str:
        return f"{self.metric}:{self.direction}"


def parse_objective(text: str) -> Objective:
    """`accuracy:max`, `latency:min`, or the metric alone in its natural direction.

    Raises:
        NasError: unknown metric or direction.
    """
    name, _, direction = text.strip().partition(":")
    kind = kind_of(name)
    if direction not in ("", "min", "max"):
        raise NasError(f"objective {text!r}: the direction is 'min' or 'max', not {direction!r}.")
    chosen: Direction = "max" if (direction or kind.direction) == "max" else "min"
    return Objective(name, chosen)


def parse_objectives(texts: Sequence[str]) -> tuple[Objective, ...]:
    """Several objectives in the order given.

    Raises:
        NasError: none, or one metric twice.
    """
    objectives = tuple(parse_objective(text) for text in texts)
    names = [objective.metric for objective in objectives]
    if not names:
        raise NasError("at least one objective is needed, e.g. --objectives accuracy:max latency:min.")
    twice = next((name for i, name in enumerate(names) if name in names[:i]), None)
    if twice:
        raise NasError(f"the objective {twice!r} is given twice.")
    return objectives


@dataclass(frozen=True)
class Constraint:
    """An upper or lower bound on a metric, inclusive.

    Attributes:
        bound: in the metric's unit.
        upper: whether values must not exceed the bound (else: not fall below it).
    """

    metric: str
    bound: float
    upper: bool
    text: str

    @property
    def cheap(self) -> bool:
        """Whether it follows from the architecture alone."""
        return kind_of(self.metric).cheap

    def violation(self, values: Floats) -> Floats:
        """By how much each value misses the bound, relative to it; 0 where it holds.

        Raises:
            NasError: a value is NaN: the constraint cannot be evaluated.
        """
        if np.isnan(values).any():
            raise NasError(
                f"the constraint {self.text!r} cannot be evaluated: some architectures have no {self.metric}."
            )
        excess = values - self.bound if self.upper else self.bound - values
        return np.maximum(excess, 0.0) / (abs(self.bound) or 1.0)


def parse_constraint(text: str) -> Constraint:
    """`latency<=20ms`, `macs <= 300M`, `accuracy>=75%`.

    Raises:
        NasError: not of that form, unknown metric, a quantity in another unit, `==`, a bound that no
            architecture can satisfy.
    """
    match = _CONSTRAINT.match(text)
    if match is None:
        raise NasError(
            f"constraint {text!r}: write METRIC<=QUANTITY or METRIC>=QUANTITY, e.g. 'latency<=20ms'."
        )
    name, operator, quantity = match.groups()
    kind = kind_of(name)
    if operator in ("==", "="):
        raise NasError(f"constraint {text!r}: use <= or >=; equality with a measured number never holds.")
    try:
        bound = parse_quantity(quantity, kind.unit)
    except NasError as error:
        raise NasError(f"constraint {text!r}: {error}") from None
    if kind.unit == "fraction" and not 0 <= bound <= 1:
        hint = f" Did you mean {quantity.strip()}%?" if 1 < bound <= 100 and "%" not in quantity else ""
        raise NasError(f"constraint {text!r}: {name} lies between 0 % and 100 %.{hint}")
    if kind.positive and kind.direction == "min" and operator.startswith("<") and bound <= 0:
        raise NasError(f"constraint {text!r}: {name} is always above 0, so nothing would be left.")
    return Constraint(name, bound, operator.startswith("<"), text.strip())


def total_violation(constraints: Sequence[Constraint], values: Mapping[str, Floats], n: int) -> Floats:
    """Sum of all violations, `(n,)`; 0 where every constraint holds.

    Raises:
        NasError: a constraint's metric is not among `values`, or has no value.
    """
    total = np.zeros(n)
    for constraint in constraints:
        if constraint.metric not in values:
            raise NasError(
                f"the constraint {constraint.text!r} cannot be evaluated: this run has no metric "
                f"{constraint.metric!r}. It has: {', '.join(values)}."
            )
        total += constraint.violation(np.asarray(values[constraint.metric], dtype=np.float64))
    return total


def explain_empty(
    constraints: Sequence[Constraint], values: Mapping[str, Floats], describe: Sequence[Any]
) -> str:
    """Why no architecture is feasible: the tightest constraint and the architecture nearest to feasible.

    Args:
        values: metrics of the architectures looked at, `(n,)` each.
        describe: their ids.
    """
    n = len(describe)
    each = {c.text: c.violation(np.asarray(values[c.metric])) for c in constraints}
    share = {text: float((violation == 0).mean()) for text, violation in each.items()}
    tightest = min(share, key=lambda text: (share[text], -float(each[text].min())))
    nearest = int(total_violation(constraints, values, n).argmin())
    metrics = dict.fromkeys(c.metric for c in constraints)
    reached = ", ".join(f"{name} = {with_unit(name, values[name][nearest])}" for name in metrics)
    return (
        f"no feasible architecture among {n:,}: {tightest!r} is the tightest constraint "
        f"({share[tightest]:.1%} satisfy it). The nearest architecture, {describe[nearest]}, has {reached}."
    )


def with_unit(metric: str, value: float) -> str:
    """A value as people read it: counts in full, shares in percent, the rest to six digits."""
    unit = kind_of(metric).unit
    if unit in ("MACs", "params", "bytes"):
        return f"{value:,.0f} {unit}"
    return f"{100 * value:.4g} %" if unit == "fraction" else f"{value:,.6g} {unit}"
