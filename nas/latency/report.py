"""The report of a predictor: what it was fitted on, what it knows, and how far it is off."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal, Self, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from nas.errors import NasError
from nas.latency.times import FloatArray

Model = TypeVar("Model", bound=BaseModel)


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


class GapReport(_Part):
    """What holds for values of a size between timed ones that no timed unit has.

    Attributes:
        values: of the size that were timed, ascending.
        errors: of units whose value was left out of the fit; None where no value lies between others.
        interval: 90 % interval from those; the one outside the fitted ranges where there are none.
        coverage: share of those units inside the interval that the other values give; None for one group of
            values.
    """

    values: list[int]
    errors: Errors | None
    interval: Interval
    coverage: float | None


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
            left out of the fit in turn; None where too few units were timed to leave any out.
        outside_interval: 90 % interval from those; a factor of two either way where there are none.
        gaps: by size whose values units share: what holds between them. Other sizes' values are left out by
            the random folds themselves.
        monotone: sizes in which predictions never fall, because held-out errors are no larger for it.
        monotone_errors: mean held-out error with each size constrained alone; what was tried.
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
    outside: Errors | None
    outside_interval: Interval
    gaps: dict[str, GapReport] = {}
    monotone: list[str] = []
    monotone_errors: dict[str, float] = {}
    file: str
    sha256: str


class TimedByKernels(_Part):
    """A kind of which units were timed, too few for trees that would be less far off than the kernel model.

    Attributes:
        errors: every unit left out in turn.
        log_half: half the width of the 90 % interval of `log(true / predicted)`, from those.
    """

    errors: Errors
    log_half: float


class KernelReport(_Part):
    """The kernel model: what is left for units that neither the table nor the trees know.

    Attributes:
        rates: ms per amount of each term of `nas.latency.kernel_model.kernel_terms`.
        errors: per kind of unit, left out of the fit as a whole.
        log_half: half the width of the 90 % interval of `log(true / predicted)`, from those.
        coverage: share of the units, every kind weighing the same, inside the interval that the other kinds
            give; None with fewer than two kinds.
        timed: kinds that it times although units of them were timed; of all others' errors is `log_half`.
    """

    rates: dict[str, float]
    errors: dict[str, Errors]
    log_half: float
    coverage: float | None
    timed: dict[str, TimedByKernels] = {}


class SpreadReport(_Part):
    """How the errors of units add up in networks, from networks all of whose units were left out of the fit.

    Attributes:
        correlation: of two units' errors, in 0..1.
        factor: half the 90 % interval over the standard deviation that follows from the units'.
        errors: of networks that were not used to find the two.
        coverage: share of those inside their interval.
        source: `spaces` whose networks these are, or `sets` of units drawn at random.
    """

    correlation: float
    factor: float
    errors: Errors
    coverage: float
    source: str


class ResidualReport(_Part):
    """What does not add up: `log(measured / sum of the units)` of whole networks.

    Attributes:
        form: `none` (the sum was best), `scale`, `linear`, or `trees` on top of linear; whichever had the least
            error on networks left out.
        kinds: kinds of unit whose share of the sum is a feature.
        features: names of the features, in order.
        mean, scale: of the features.
        intercept, weights: of the linear part, for standardised features.
        limits: least and largest correction (logarithm) that is ever applied.
        range_ms: least and largest sum of the measured networks; others are `estimated`.
        sums: errors of the plain sums on the measured networks.
        errors: errors after correction, every network left out of the fit that predicts it.
        floor, factor: the 90 % interval of the logarithm is `factor · √(floor² + h²)` wide to either side,
            where h is what the units' own intervals give.
        coverage: share of the networks inside it, each interval from the other networks.
        file, sha256: the trees; empty for other forms.
    """

    form: Literal["none", "scale", "linear", "trees"]
    kinds: list[str]
    features: list[str]
    mean: list[float]
    scale: list[float]
    intercept: float
    weights: list[float]
    limits: tuple[float, float]
    range_ms: tuple[float, float]
    sums: Errors
    errors: Errors
    floor: float
    factor: float
    coverage: float
    file: str = ""
    sha256: str = ""


class TransferReport(_Part):
    """Another device's predictor, or several, corrected by a few units of this one.

    Attributes:
        sources: folders of the other predictors, inside this one's.
        kinds: kinds of unit with an offset of their own.
        mean, scale: of the features.
        shares: of the sources in the geometric mean that is corrected, adding up to 1.
        intercept, weights: of the correction `log(ms / weighted geometric mean of the sources)`.
        units: timed units it was fitted on.
        errors: every unit left out in turn.
        log_half: by kind, half the width of the 90 % interval of `log(true / predicted)`, from those.
        unseen_log_half: the same for kinds of which no unit was timed, from kinds left out in turn.
        coverage: share of the units inside the interval that the others give.
    """

    sources: list[str]
    kinds: list[str]
    mean: list[float]
    scale: list[float]
    shares: list[float]
    intercept: float
    weights: list[float]
    units: int
    errors: Errors
    log_half: dict[str, float]
    unseen_log_half: float
    coverage: float


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
        errors: of units left out, all kinds together; None where no kind has trees and nothing is transferred.
        coverage: share of all those units inside their 90 % interval.
        kinds: per kind of unit that has trees.
        kernels: the kernel model.
        spread: how units' errors add up in networks; None with fewer than ten units that have trees.
        residual: what does not add up, learned from measured networks, if there were any.
        transfer: correction of other devices' predictors, if there were any.
    """

    version: Literal[2] = 2
    name: str
    data: DataFacts
    folds: int
    seed: int
    trees: dict[str, int | float]
    libraries: dict[str, str]
    errors: Errors | None
    coverage: float | None
    kinds: dict[str, KindReport]
    kernels: KernelReport
    spread: SpreadReport | None = None
    residual: ResidualReport | None = None
    transfer: TransferReport | None = None


def read_report(path: Path, kind: type[Model], remedy: str) -> Model:
    """The report of a predictor, from its JSON file.

    Args:
        kind: of report.
        remedy: what to do where it is none, as a sentence.

    Raises:
        NasError: the file cannot be read, or is no such report.
    """
    try:
        return kind.model_validate_json(path.read_bytes())
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(str(part) for part in problem["loc"])
        raise NasError(f"{path}: {where}: {problem['msg']}. {remedy}") from None
    except OSError as error:
        raise NasError(f"{path}: cannot be read: {error.strerror}.") from None
