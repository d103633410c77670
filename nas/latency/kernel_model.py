"""The kernel model of a device: a unit's time as the sum of its kernels' times.

`ms = Σ_op (rate of its multiply-accumulates + rate of the elements it writes + a time per launch) + rate of the
weights read`, all rates > 0, fitted to the relative error of the timed units, every kind of unit weighing the same.
It times any unit of any block, roughly: which is what is left where neither table nor trees know the unit. A kernel
the device never ran takes the slowest comparable rate, never zero.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np

from nas.blocks.counting import describe
from nas.blocks.registry import UNITS
from nas.latency.report import Errors, KernelReport
from nas.latency.rows import IntArray
from nas.latency.signature import sizes_of
from nas.latency.statistics import LEVEL, log_ratio
from nas.latency.times import CODES, FloatArray, UnitTimes

Units = Mapping[str, tuple[IntArray, FloatArray]]

WEIGHTS = "weights.read"
_HEAVY = ("conv", "matmul", "depthwise", "norm")  # a norm that is left once deployed goes over tokens twice
# Weight of "as fast as its class" beside one kind of unit, from leaving kinds of four phones out.
_PRIOR = 7e-4
# Least rate of a class, as a share of the rate at which it alone would take all the time.
_FLOOR = 0.02
# Least rate of a kernel, as a share of that of its class: none is free.
_LEAST = 0.01
# What half an interval is at least, while fewer kinds could be left out.
_DOUBT, _FEW_KINDS = float(np.log(2)), 3


def kernel_terms(kind: str, rows: IntArray) -> dict[str, FloatArray]:
    """Amounts of kernel work in units of one kind, each of shape `(n,)`, under `OP.macs`, `.out`, `.launches`.

    A view counts as a copy of the unit's input: what is free in one runtime is a transposition in another.

    Args:
        kind: kind of unit.
        rows: sizes, shape `(n, k)`, in the order of `unit_keys(kind)`.
    """
    described = describe(UNITS[kind], sizes_of(kind, rows))
    whole = described.elements_in.astype(np.float64)
    terms = dict[str, FloatArray]()
    for case in described.cases:
        at = slice(None) if case.rows is None else case.rows
        view = all(kernel.shape is None for kernel in case.kernels)
        for kernel in case.kernels:
            out = whole[at] if view else np.zeros(len(whole[at])) + kernel.out
            launched = (out > 0) | (np.asarray(kernel.macs) > 0)
            for name, amount in (("macs", kernel.macs), ("out", out), ("launches", launched)):
                terms.setdefault(f"{kernel.op}.{name}", np.zeros(len(rows)))[at] += amount
    terms[WEIGHTS] = described.params.astype(np.float64)
    return {name: amount for name, amount in terms.items() if amount.any()}


@dataclass(frozen=True)
class KernelModel:
    """A fitted kernel model.

    Attributes:
        rates: ms per amount of each term of `kernel_terms`.
        log_half: half the width of the 90 % interval of `log(true / predicted)`.
        timed: the same by kind of unit, for kinds of which units were timed.
    """

    rates: Mapping[str, float]
    log_half: float
    timed: Mapping[str, float] = field(default_factory=dict)

    def rate(self, term: str) -> float:
        """ms per amount of a term; for one never fitted the slowest of its class, or else of all comparable."""
        if term in self.rates:
            return self.rates[term]
        alike = [rate for name, rate in self.rates.items() if _class(name) == _class(term)]
        return max(alike or [rate for name, rate in self.rates.items() if _what(name) == _what(term)])

    def ms(self, kind: str, rows: IntArray) -> FloatArray:
        """Times in ms, shape `(n,)`, of units of any kind with sizes of shape `(n, k)`."""
        total = np.zeros(len(rows))
        for term, amount in kernel_terms(kind, rows).items():
            total += self.rate(term) * amount
        return total

    def predict(self, kind: str, rows: IntArray) -> UnitTimes:
        """Times of units of any kind, `estimated`, sizes of shape `(n, k)`."""
        ms, factor = self.ms(kind, rows), np.exp(self.timed.get(kind, self.log_half))
        codes = np.full(len(rows), CODES["estimated"], dtype=np.uint8)
        return UnitTimes(ms, codes, ms / factor, ms * factor)


def fit_kernel_model(units: Units) -> KernelReport:
    """Rates from timed units, and their errors for kinds of unit left out of the fit in turn.

    Args:
        units: sizes `(n, k)` and ms `(n,)` by kind of unit; at least one unit.
    """
    errors, ratios = {}, {}
    for kind, (rows, ms) in units.items():
        others = {other: value for other, value in units.items() if other != kind}
        if others:
            predicted = KernelModel(_rates(others), 0.0).ms(kind, rows)
            errors[kind] = Errors.of(ms, predicted)
            ratios[kind] = log_ratio(ms, predicted)
    return KernelReport(
        rates=_rates(units), errors=errors, log_half=_log_half(ratios), coverage=_coverage(ratios)
    )


def leave_units_out(units: Units, kinds: Collection[str]) -> dict[str, FloatArray]:
    """Times in ms of all units of these kinds, each by rates fitted to all units but itself.

    Args:
        units: sizes `(n, k)` and ms `(n,)` by kind of unit; at least two units.
        kinds: of which units are left out.
    """
    times = dict[str, FloatArray]()
    for kind in kinds:
        rows, ms = units[kind]
        times[kind] = np.empty(len(ms))
        for index in range(len(ms)):
            rest = {**units, kind: (np.delete(rows, index, axis=0), np.delete(ms, index))}
            rates = _rates({name: part for name, part in rest.items() if len(part[1])})
            times[kind][index] = KernelModel(rates, 0.0).ms(kind, rows[[index]])[0]
    return times


def _coverage(ratios: Mapping[str, FloatArray]) -> float | None:
    """Share of the units, every kind weighing the same, inside the interval that the other kinds give."""
    if len(ratios) < 2:
        return None
    others = {kind: {k: v for k, v in ratios.items() if k != kind} for kind in ratios}
    held = [np.mean(np.abs(ratio) <= _log_half(others[kind])) for kind, ratio in ratios.items()]
    return float(np.mean(held))


def _log_half(ratios: Mapping[str, FloatArray]) -> float:
    """Half width of the 90 % interval for a kind not seen, wider the fewer kinds it is from.

    The 90 % quantile of the ratios' size, every kind weighing the same, times `1 + 1 / kinds`; a factor of two
    with fewer than three kinds, unless they say more.
    """
    if not ratios:
        return _DOUBT
    size = np.abs(np.concatenate(list(ratios.values())))
    weight = np.concatenate([np.full(len(ratio), 1 / len(ratio)) for ratio in ratios.values()])
    order = np.argsort(size)
    reached = np.searchsorted(np.cumsum(weight[order]), LEVEL * len(ratios))
    half = (1 + 1 / len(ratios)) * float(size[order][min(reached, len(size) - 1)])
    return max(half, _DOUBT) if len(ratios) < _FEW_KINDS else half


def _rates(units: Units) -> dict[str, float]:
    terms = {kind: kernel_terms(kind, rows) for kind, (rows, _) in units.items()}
    names = sorted({name for amounts in terms.values() for name in amounts})
    blocks, weights = [], []
    for kind, (_, ms) in units.items():
        columns = [terms[kind].get(name, np.zeros(len(ms))) for name in names]
        blocks.append(np.stack(columns, axis=1) / ms[:, None])
        weights.append(np.full(len(ms), len(ms) ** -0.5))
    relative, weight = np.concatenate(blocks), np.concatenate(weights)
    classes = sorted({_class(name) for name in names})
    belongs = np.array([[_class(name) == each for each in classes] for name in names], dtype=np.float64)
    pooled = relative @ belongs
    alone = np.array([np.median(1 / column[column > 0]) for column in pooled.T])
    shared = np.maximum(_least_squares(pooled, weight), _FLOOR * alone)
    usual = belongs @ shared
    rates = np.maximum(_least_squares(relative, weight, usual), _LEAST * usual)
    return {name: float(rate) for name, rate in zip(names, rates)}


def _least_squares(relative: FloatArray, weight: FloatArray, prior: FloatArray | None = None) -> FloatArray:
    """Rates ≥ 0 for which `relative @ rates` is nearest to 1, drawn to `prior` where there is any."""
    from scipy.optimize import nnls

    scale = relative.max(axis=0)
    left, right = relative / scale * weight[:, None], weight
    if prior is not None:
        left = np.concatenate([left, np.diag(np.sqrt(_PRIOR) / (prior * scale))])
        right = np.concatenate([right, np.full(len(prior), np.sqrt(_PRIOR))])
    # The normal equations' factor has as many rows as terms: the units may be many.
    q, r = np.linalg.qr(left)
    rates, _ = nnls(r, q.T @ right, maxiter=100 * len(scale))
    return np.asarray(rates / scale)


def _what(term: str) -> str:
    return term.partition(".")[2]


def _class(term: str) -> str:
    """Terms expected to cost about the same per amount."""
    op, _, what = term.partition(".")
    if what == "macs":
        return "depthwise.macs" if op == "depthwise" else "dense.macs"
    return f"{'heavy' if op in _HEAVY else 'light'}.{what}" if what != "read" else term
