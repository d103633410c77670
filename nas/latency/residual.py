"""What does not add up in networks: `log(measured / sum of the units)`, learned from whole networks.

Fusion across units, caches and launches make a network faster or slower than its parts. With few measured networks a
common factor is all that can be learned; with more, a strongly regularised line on the network's composition,
and shallow XGBoost trees on what the line leaves. Each is kept only if it lowers the error on networks left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from nas.blocks.counting import describe, live_elements
from nas.blocks.registry import UNITS
from nas.latency.report import Errors, ResidualReport
from nas.latency.ridge import Ridge, fit_ridge
from nas.latency.rows import IntArray
from nas.latency.signature import sizes_of
from nas.latency.statistics import upper_quantile
from nas.latency.times import FloatArray

Form = Literal["none", "scale", "linear", "trees"]
Sums = Mapping[str, FloatArray]
SUMS, MAXIMA = ("layers", "macs", "params", "elements"), ("side", "live")
LEAST_NETWORKS = 5
_LEAST: dict[Form, int] = {"none": 0, "scale": 0, "linear": 10, "trees": 20}
_GAIN = 0.03  # a richer form must lower the held-out error by this share
_STRENGTHS = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
_FOLDS, _REPEATS = 10, 3
_SLACK = 1.1  # how far beyond the measured networks' sums a correction still counts as predicted
_TREES: dict[str, Any] = {
    "objective": "reg:squarederror",
    "tree_method": "hist",
    "base_score": 0.0,
    "max_depth": 2,
    "eta": 0.1,
    "min_child_weight": 4.0,
    "reg_lambda": 5.0,
    "nthread": 1,
    "seed": 0,
}
_ROUNDS = 40


def summed_columns(kind: str, rows: IntArray, ms: FloatArray, kinds: Sequence[str]) -> FloatArray:
    """What the residual needs summed over a network's units, shape `(n, len(SUMS) + len(kinds))`.

    Args:
        kind: kind of unit.
        rows, ms: sizes and times of units, shapes `(n, k)` and `(n,)`.
        kinds: kinds of unit whose ms are summed apart.
    """
    described = describe(UNITS[kind], sizes_of(kind, rows))
    columns: list[Any] = [1.0, described.macs, described.params, described.elements_in]
    columns += [ms if kind == one else 0.0 for one in kinds]
    return np.stack([np.zeros(len(rows)) + column for column in columns], axis=1)


def largest_columns(kind: str, rows: IntArray) -> FloatArray:
    """What the residual needs the largest of over a network's units, shape `(n, len(MAXIMA))`."""
    sizes = sizes_of(kind, rows)
    live = np.asarray(live_elements(UNITS[kind], sizes), dtype=np.float64)
    return np.stack([np.maximum(sizes["h"], sizes["w"]).astype(np.float64), live], axis=1)


def names_of(kinds: Sequence[str]) -> tuple[str, ...]:
    """Names of the columns of `summed_columns`."""
    return (*SUMS, *(f"ms:{kind}" for kind in kinds))


def features_of(values: Sums, kinds: Sequence[str]) -> FloatArray:
    """Features of `n` networks, `(n, f)`: logarithms of their amounts, and each kind's share of the time."""
    ms = np.maximum(values["latency"], 1e-9)
    amounts = [np.log(ms), *(np.log(np.maximum(values[name], 1.0)) for name in (*SUMS, *MAXIMA))]
    return np.stack([*amounts, *(values[f"ms:{kind}"] / ms for kind in kinds)], axis=1)


def feature_names(kinds: Sequence[str]) -> list[str]:
    """Names of the features, in order."""
    return ["log ms", *(f"log {name}" for name in (*SUMS, *MAXIMA)), *(f"share {kind}" for kind in kinds)]


@dataclass(frozen=True)
class Residual:
    """A fitted residual.

    Attributes:
        report: its line, limits and errors.
        booster: its trees (`xgboost.Booster`), or None.
    """

    report: ResidualReport
    booster: Any = None

    def correction(self, values: Sums) -> FloatArray:
        """`log(expected / sum)`, shape `(n,)`, of networks with these sums."""
        about = self.report
        if about.form in ("none", "scale"):
            return np.full(len(values["latency"]), about.intercept)
        features = features_of(values, about.kinds)
        line = Ridge(np.array(about.mean), np.array(about.scale), about.intercept, np.array(about.weights))
        found = line.predict(features)
        if self.booster is not None:
            found += self.booster.inplace_predict(features)
        return np.clip(found, *about.limits)

    def half_width(self, half: FloatArray) -> FloatArray:
        """Half the 90 % interval of the logarithm, given that from the units' own intervals, shape `(n,)`."""
        return np.asarray(self.report.factor * np.sqrt(self.report.floor**2 + half**2))

    def outside(self, ms: FloatArray) -> Any:
        """Which sums of units lie outside those of the measured networks, bool `(n,)`."""
        low, high = self.report.range_ms
        return (ms < low / _SLACK) | (ms > high * _SLACK)


def fit_residual(
    values: Sums, half: FloatArray, measured: FloatArray, kinds: Sequence[str], seed: int
) -> Residual | None:
    """Learn what does not add up; None with fewer than five networks.

    Args:
        values: sums of `n` networks, as `features_of` takes them, each `(n,)`.
        half: half the 90 % interval of the logarithm from the units' own, `(n,)`.
        measured: ms of the whole networks, `(n,)`.
        kinds: kinds of unit whose share is a feature.
        seed: of the folds.
    """
    count, sums = len(measured), values["latency"]
    if count < LEAST_NETWORKS:
        return None
    features, target = features_of(values, kinds), np.log(measured / sums)
    folds = [np.random.default_rng(seed + i).permutation(count) % _FOLDS for i in range(_REPEATS)]
    forms = [form for form, least in _LEAST.items() if count >= least]
    left_out = {form: [_cross_validate(form, features, target, fold) for fold in folds] for form in forms}
    form = _best({form: float(np.mean(np.abs(np.stack(e) - target))) for form, e in left_out.items()})
    line, booster = _fit(form, features, target)
    errors = np.abs(target - left_out[form][0])
    floor = float(np.median(errors))
    scaled = errors / np.sqrt(floor**2 + half**2 + 1e-24)
    report = ResidualReport(
        form=form,
        kinds=list(kinds),
        features=feature_names(kinds),
        mean=line.mean.tolist(),
        scale=line.scale.tolist(),
        intercept=line.intercept,
        weights=line.weights.tolist(),
        limits=(float(target.min()), float(target.max())),
        range_ms=(float(sums.min()), float(sums.max())),
        sums=Errors.of(measured, sums),
        errors=Errors.of(measured, sums * np.exp(left_out[form][0])),
        floor=floor,
        factor=upper_quantile(scaled),
        coverage=_coverage(scaled),
    )
    return Residual(report, booster)


def _best(errors: Mapping[Form, float]) -> Form:
    """The simplest form that no richer one beats by more than the gain asked for."""
    best: Form = "none"
    for form, error in errors.items():
        if error < (1 - _GAIN) * errors[best]:
            best = form
    return best


def _fit(form: Form, features: FloatArray, target: FloatArray) -> tuple[Ridge, Any]:
    flat = Ridge(features.mean(axis=0), np.ones(features.shape[1]), 0.0, np.zeros(features.shape[1]))
    if form == "none":
        return flat, None
    if form == "scale":
        return Ridge(flat.mean, flat.scale, float(np.median(target)), flat.weights), None
    line = fit_ridge(features, target, np.ones(features.shape[1]), _STRENGTHS)
    if form == "linear":
        return line, None
    import xgboost

    data = xgboost.DMatrix(features, label=target - line.predict(features))
    return line, xgboost.train(_TREES, data, _ROUNDS)


def _cross_validate(form: Form, features: FloatArray, target: FloatArray, fold: IntArray) -> FloatArray:
    """Corrections `(n,)` of every network by a fit on the other folds, within the limits of those."""
    found = np.empty(len(target))
    for held_out in (fold == number for number in np.unique(fold)):
        known = target[~held_out]
        line, booster = _fit(form, features[~held_out], known)
        part = line.predict(features[held_out])
        if booster is not None:
            part += booster.inplace_predict(features[held_out])
        found[held_out] = part if form == "none" else np.clip(part, known.min(), known.max())
    return found


def _coverage(scaled: FloatArray) -> float:
    others = [np.delete(scaled, index) for index in range(len(scaled))]
    return float(np.mean([one <= upper_quantile(rest) for one, rest in zip(scaled, others)]))
