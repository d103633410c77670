"""How good latency predictions are: rank, share within ±10 %, and what the interval holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nas.latency.arch.cell import connected
from nas.latency.arch.fit import fit_arch_predictor
from nas.latency.arch.pairs import LATENCY_COLUMN, Pairs, pairs_from_csv
from nas.latency.arch.predictor import ArchLatencyPredictor
from nas.latency.arch.statistics import spearman
from nas.latency.metric_array import MetricArray
from nas.latency.report import Errors
from nas.latency.times import FloatArray
from nas.space.space import Space


@dataclass(frozen=True)
class Scores:
    """Predictions against the truth.

    Attributes:
        errors: relative errors.
        spearman: rank correlation; None without variation.
        coverage: share of the truth inside the 90 % interval.
    """

    errors: Errors
    spearman: float | None
    coverage: float

    def __str__(self) -> str:
        rank = "not defined" if self.spearman is None else f"{self.spearman:.3f}"
        return f"{self.errors}, Spearman {rank}, {100 * self.coverage:.0f} % in the 90 % interval"


def score(truth: FloatArray, predicted: MetricArray) -> Scores:
    """Scores of predictions, both in ms and of shape `(n,)`, n ≥ 1."""
    plain = np.asarray(predicted, dtype=np.float64)
    inside = (predicted.low <= truth) & (truth <= predicted.high)
    return Scores(Errors.of(truth, plain), spearman(truth, plain), float(inside.mean()))


def evaluate(
    predictor: ArchLatencyPredictor, pairs: Pairs, others: Mapping[str, FloatArray] | None = None
) -> Scores:
    """Scores on pairs; cells without a path from input to output are left out."""
    kept = np.flatnonzero(connected(pairs.batch))
    known = {device: np.asarray(ms)[kept] for device, ms in (others or {}).items()}
    return score(pairs.ms[kept], predictor.predict(pairs.batch[kept], known))


def fit_from_csv(
    space: Space, path: str | Path, *, column: str = LATENCY_COLUMN, name: str | None = None, seed: int = 0
) -> ArchLatencyPredictor:
    """A predictor from a CSV file (`nas.latency.arch.pairs.pairs_from_csv`); named after the file by default."""
    pairs = pairs_from_csv(space, path, column=column)
    title = name or Path(path).name.partition(".")[0]
    return fit_arch_predictor(space, pairs.batch, pairs.ms, seed=seed, name=title, data=pairs.data)
