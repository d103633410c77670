"""Few-shot transfer: a new device from a few timed units and the predictors of others.

`log ms = Σ share · log p + correction`: a weighted mean of the sources, and a ridge regression on an offset per kind of
unit, on how the sources differ (which mixes them) and on the unit's work, drawn to one factor for all units
(`nas.latency.mixture`). Its error is that of units left out one at a time; for a kind of which no unit was timed, of
kinds left out one at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nas.latency.kernel_model import kernel_terms
from nas.latency.mixture import Mixture, fit_mixture, predict_left_out
from nas.latency.report import Errors, TransferReport
from nas.latency.ridge import Ridge
from nas.latency.rows import IntArray
from nas.latency.shrunk import half_widths
from nas.latency.statistics import NORMAL, log_ratio, student_quantile
from nas.latency.times import CODES, FloatArray, UnitTimes
from nas.latency.validation import HeldOut

if TYPE_CHECKING:
    from nas.latency.predictor import Predictor

Units = Mapping[str, tuple[IntArray, FloatArray]]
LEAST_UNITS = 5
_KIND, _MIX, _WORK = 3.0, 1.0, 1.0
_FOLDS = 60


@dataclass(frozen=True)
class Transfer:
    """Other devices' predictors with a correction.

    Attributes:
        report: the correction and its errors.
        sources: the predictors, in the order of `report.sources`.
    """

    report: TransferReport
    sources: Sequence[Predictor]

    def predict(self, kind: str, rows: IntArray) -> UnitTimes:
        """Times of units of any kind, sizes of shape `(n, k)`.

        `predicted` where every source predicts and units of the kind were timed here, else `estimated`.
        """
        about = self.report
        times = [source.predict(kind, rows) for source in self.sources]
        line = Ridge(np.array(about.mean), np.array(about.scale), about.intercept, np.array(about.weights))
        logs = np.stack([np.log(time.ms) for time in times], axis=1)
        mixture = Mixture(np.array(about.shares), line)
        ms = np.exp(mixture.predict(_features(kind, rows, logs, about.kinds), logs))
        codes = np.max([time.provenance for time in times], axis=0)
        half = np.full(len(rows), about.log_half.get(kind, about.unseen_log_half))
        if kind not in about.kinds:
            codes = np.full(len(rows), CODES["estimated"])
        unsure = np.max([_half(time) for time in times], axis=0)
        half = np.where(codes == CODES["estimated"], np.sqrt(half**2 + unsure**2), half)
        return UnitTimes(ms, codes.astype(np.uint8), ms * np.exp(-half), ms * np.exp(half))


def fit_transfer(units: Units, sources: Sequence[Predictor]) -> tuple[Transfer, dict[str, HeldOut]] | None:
    """Fit the correction; None with fewer than five timed units.

    Args:
        units: sizes `(n, k)` and ms `(n,)` by kind of unit.
        sources: predictors of other devices.

    Returns:
        The transfer, and by kind what fits without each unit predict for it.
    """
    kinds = sorted(units)
    ms = np.concatenate([units[kind][1] for kind in kinds])
    if len(ms) < LEAST_UNITS:
        return None
    of_kind = np.repeat(kinds, [len(units[kind][1]) for kind in kinds])
    parts = {kind: _logs(kind, units[kind][0], sources) for kind in kinds}
    logs, target = np.concatenate([parts[kind] for kind in kinds]), np.log(ms)
    features = np.concatenate([_features(kind, units[kind][0], parts[kind], kinds) for kind in kinds])
    penalty = _penalty(features, len(kinds), len(sources))
    mixture = fit_mixture(features, logs, target, penalty)
    line = mixture.line
    predicted = np.exp(predict_left_out(features, logs, target, penalty, _FOLDS))
    # A unit like none of the few that were timed is further off than those are from each other.
    doubt = float(np.sqrt(1 + line.parameters / len(ms)))
    log_half, inside = half_widths(log_ratio(ms, predicted), of_kind, doubt)
    report = TransferReport(
        sources=[source.report.name for source in sources],
        kinds=kinds,
        mean=line.mean.tolist(),
        scale=line.scale.tolist(),
        shares=mixture.shares.tolist(),
        intercept=line.intercept,
        weights=line.weights.tolist(),
        units=len(ms),
        errors=Errors.of(ms, predicted),
        log_half=log_half,
        unseen_log_half=max(*log_half.values(), _unseen(features, logs, target, penalty, of_kind)),
        coverage=float(inside.mean()),
    )
    sigma = predicted * np.array([log_half[kind] for kind in of_kind]) / NORMAL
    held = {
        kind: HeldOut(units[kind][0], *(part[of_kind == kind] for part in (ms, predicted, sigma, inside)))
        for kind in kinds
    }
    return Transfer(report, sources), held


def _unseen(
    features: FloatArray, logs: FloatArray, target: FloatArray, penalty: FloatArray, of_kind: NDArray[np.str_]
) -> float:
    """Half the 90 % interval of the logarithm for a kind that was left out as a whole."""
    squares = []
    for kind in np.unique(of_kind):
        held_out = of_kind == kind
        if (~held_out).sum() >= LEAST_UNITS - 1 and held_out.any():
            mixture = fit_mixture(features[~held_out], logs[~held_out], target[~held_out], penalty)
            predicted = mixture.predict(features[held_out], logs[held_out])
            squares.append(float(np.mean((target[held_out] - predicted) ** 2)))
    if not squares:
        return float(np.log(2))
    return student_quantile(len(squares)) * float(np.sqrt(np.mean(squares)))


def _logs(kind: str, rows: IntArray, sources: Sequence[Predictor]) -> FloatArray:
    return np.stack([np.log(source.predict(kind, rows).ms) for source in sources], axis=1)


def _features(kind: str, rows: IntArray, logs: FloatArray, kinds: Sequence[str]) -> FloatArray:
    """Features `(n, f)`: which kind, the sources' logarithms around their mean, and the unit's work."""
    terms = kernel_terms(kind, rows)
    macs, out, launches = (
        sum((value for name, value in terms.items() if name.endswith(end)), np.zeros(len(rows)))
        for end in (".macs", ".out", ".launches")
    )
    work = [np.log1p(macs), np.log1p(out), np.log(np.maximum(macs, 1) / np.maximum(out, 1)), launches]
    which = [np.full(len(rows), float(kind == one)) for one in kinds]
    mix = list((logs - logs.mean(axis=1, keepdims=True)).T) if logs.shape[1] > 1 else []
    return np.stack([*which, *mix, *work], axis=1)


def _penalty(features: FloatArray, kinds: int, sources: int) -> FloatArray:
    """A kind's offset is drawn to 0 the more, the fewer its units: penalties are of standardised features."""
    variance = np.maximum(features[:, :kinds].var(axis=0), 1e-6)
    rest = [_MIX] * (sources if sources > 1 else 0)
    rest += [_WORK] * (features.shape[1] - kinds - len(rest))
    return np.concatenate([_KIND / (len(features) * variance), rest])


def _half(times: UnitTimes) -> FloatArray:
    return np.asarray(np.log(times.high / times.low) / 2)
