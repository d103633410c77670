"""The report of a predictor: what it was fitted on, what it knows, and how far it is off."""

from __future__ import annotations

import math
from typing import Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict

from nas.latency.times import FloatArray


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Errors(_Part):
    """Relative errors `|predicted / true - 1|` of predictions for units that were not fitted on.

    Attributes:
        units: number of predictions.
        within_10, within_5: share within ±10 % and ±5 %, in 0..1.
        mean, max: mean and largest error, as fractions.
    """

    units: int
    within_10: float
    within_5: float
    mean: float
    max: float

    @classmethod
    def of(cls, true: FloatArray, predicted: FloatArray) -> Self:
        """Errors of predictions in ms, both of shape `(n,)`, n ≥ 1."""
        error = np.abs(predicted / true - 1)
        within = [float(np.mean(error <= limit)) for limit in (0.10, 0.05)]
        mean, largest = float(error.mean()), float(error.max())
        return cls(units=len(true), within_10=within[0], within_5=within[1], mean=mean, max=largest)

    @property
    def within(self) -> str:
        """Share within ±10 %, rounded down: `"100.0 %"` only where it is all of them."""
        return f"{math.floor(1000 * self.within_10) / 10:.1f} %"

    def __str__(self) -> str:
        return f"{self.within} within ±10 %, mean error {100 * self.mean:.1f} %"


class Interval(_Part):
    """A 90 % interval as factors on the prediction, by its magnitude.

    Attributes:
        edges: boundaries in ms between the magnitudes, ascending.
        low, high: factors per magnitude, one more than edges.
    """

    edges: list[float]
    low: list[float]
    high: list[float]

    def ends(self, ms: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Low and high ends in ms for predictions in ms, all of shape `(n,)`."""
        at = np.searchsorted(self.edges, ms)
        return ms * np.asarray(self.low)[at], ms * np.asarray(self.high)[at]


class Probe(_Part):
    """A few units' signatures and the model's inputs for them: they show when the features have changed."""

    units: list[str]
    inputs: list[list[float]]


class KindReport(_Part):
    """What is known of one kind of unit.

    Attributes:
        ranges: smallest and largest fitted value of each size.
        square: whether all fitted maps were square.
        words: the activations and norms fitted on; others are refused.
        work: ms per amount of each work term (`nas.latency.features`).
        features: names of the trees' inputs, in order.
        probe: units and inputs that must still agree when the model is loaded.
        errors: of cross-validation.
        interval: 90 % interval from the cross-validation's residuals.
        coverage: share of the units inside it, each fold's interval from the other folds' residuals.
        outside: errors just outside the fitted range: the largest and the smallest value of each size
            left out of the fit in turn.
        outside_interval: 90 % interval from those.
        file, sha256: the trees, XGBoost's UBJSON, gzip-compressed.
    """

    ranges: dict[str, tuple[int, int]]
    square: bool
    words: dict[str, list[str]]
    work: dict[str, float]
    features: list[str]
    probe: Probe
    errors: Errors
    interval: Interval
    coverage: float
    outside: Errors
    outside_interval: Interval
    file: str
    sha256: str


class DataFacts(_Part):
    """Where the times come from."""

    file: str
    sha256: str
    source: str
    licence: str
    units: int


class Report(_Part):
    """`predictors/NAME/report.json`.

    Attributes:
        version: of this format.
        name: the predictor's name.
        data: what it was fitted on.
        folds, seed: of the cross-validation.
        trees: options of `nas.latency.model.TreeOptions`.
        libraries: versions it was fitted with.
        errors: of cross-validation, all kinds together.
        coverage: share of all units inside their 90 % interval.
        kinds: per kind of unit.
    """

    version: Literal[1] = 1
    name: str
    data: DataFacts
    folds: int
    seed: int
    trees: dict[str, int | float]
    libraries: dict[str, str]
    errors: Errors
    coverage: float
    kinds: dict[str, KindReport]
