"""What an expensive objective is expected to be: a Gaussian process, boosted trees, or both by what they know.

The two are weighed by how well they predict evaluations they were not fitted on: leave-one-out of the process, which
has a closed form, and cross-validation of the trees. The weight is that of the convex combination of least squared
error. The process knows all evaluations; its parameters, and the trees, are fitted anew whenever a sixth was added, on
the evaluations that there were then: everything is a function of the evaluations in their order, so that a search that
is resumed has the same. Parameters that were fitted on from the last ones instead lost 0.02 of the hypervolume on DTLZ2
and ElasticViT's space (`benchmarks/search`): they stay where few evaluations led them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nas.accuracy.gaussian import GaussianProcess, Ints
from nas.accuracy.inputs import Inputs
from nas.accuracy.predictor import ArchPredictor, held_out_predictions
from nas.space.batch import ArchBatch
from nas.space.space import Space

Floats = NDArray[np.float64]
Kind = Literal["auto", "gaussian", "trees"]
KINDS: tuple[Kind, ...] = ("auto", "gaussian", "trees")

FIRST_STAGE, GROWTH = 8, 7 / 6
"""Evaluations of the first fit of parameters, and how many times as many those of each further one."""
TREES_FROM = 30
"""Evaluations below which boosted trees know nothing that a process does not; they are weighed anew at each doubling,
for that takes longer than all the rest."""
MOST_SPREAD = 3.0
"""Factor by which deviations are widened at most: a third of few evaluations says no more."""
WEIGHTS = np.linspace(0, 1, 11)


@dataclass(frozen=True)
class Further:
    """Values that are less certain than evaluations.

    Attributes:
        batch: architectures.
        values: of each, `(n,)`.
        extra: further columns, `(n, f)`.
        variances: of the noise of each value, `(n,)`.
    """

    batch: ArchBatch
    values: Floats
    extra: Floats | None
    variances: Floats


class Surrogate:
    """Predicts one objective.

    Args:
        space: of the architectures.
        kind: `auto` weighs both models, `gaussian` and `trees` have one of them.
        seed, threads: of the trees.
    """

    def __init__(self, space: Space, kind: Kind = "auto", seed: int = 0, threads: int = 1) -> None:
        self.space, self.kind, self.seed, self.threads = space, kind, seed, threads
        self._stage = self._weighed = 0
        self._trees: ArchPredictor | None = None
        self._parameters: Floats | None = None
        self._spread = 1.0
        self.weight = 1.0 if kind == "trees" else 0.0

    def fit(
        self,
        batch: ArchBatch,
        values: Floats,
        extra: Floats | None = None,
        further: Further | None = None,
    ) -> None:
        """Fit to values `(n,)` of architectures, in the order in which they were evaluated.

        Args:
            extra: further columns `(n, f)`, such as logarithms of costs.
            further: less certain values.
        """
        known = np.flatnonzero(~np.isnan(values))
        batch, values, extra = batch[known], values[known], None if extra is None else extra[known]
        self._advance(batch, values, extra)
        self._inputs = Inputs.of(self.space, extra)
        x, noise = self._inputs(batch, extra), np.zeros(len(values))
        targets = values
        if further is not None and len(further.batch):
            x = np.concatenate([x, self._inputs(further.batch, further.extra)])
            targets = np.concatenate([values, further.values])
            noise = np.concatenate([noise, further.variances])
        self._process = GaussianProcess(self._inputs.groups, self._parameters)
        self._process.fit(x, targets, noise, tune=False)
        if self._trees is None and self.weight > 0:
            rows = np.arange(max(self._stage, 1))
            self._trees = ArchPredictor(self.seed, self.threads)
            self._trees.fit(batch[rows], values[rows], None if extra is None else extra[rows])

    def mean(self, batch: ArchBatch, extra: Floats | None = None) -> Floats:
        """Expected values `(n,)`."""
        if self._trees is None or self.weight == 0:
            return self._process.mean(self._inputs(batch, extra))
        trees = self._trees.predict(batch, extra)
        if self.weight == 1:
            return trees
        return (1 - self.weight) * self._process.mean(self._inputs(batch, extra)) + self.weight * trees

    def predict(self, batch: ArchBatch, extra: Floats | None = None) -> tuple[Floats, Floats]:
        """Expected values and their standard deviations `(n,)`, without the noise of evaluations."""
        mean, std = self._process.predict(self._inputs(batch, extra))
        if self._trees is not None and self.weight > 0:
            mean = (1 - self.weight) * mean + self.weight * self._trees.predict(batch, extra)
        return mean, std * self._spread

    @property
    def noise_std(self) -> float:
        """Standard deviation of an evaluation's noise."""
        return self._process.noise_std

    def _advance(self, batch: ArchBatch, values: Floats, extra: Floats | None) -> None:
        """Fit parameters and weight where enough was added."""
        stage, weighed = _stage_of(len(values), FIRST_STAGE, GROWTH), _stage_of(len(values), TREES_FROM, 2.0)
        if stage != self._stage:
            self._stage, self._trees, rows = stage, None, np.arange(stage)
            self._tune(batch[rows], values[rows], None if extra is None else extra[rows])
        if self.kind == "auto" and weighed != self._weighed:
            self._weighed, rows = weighed, np.arange(weighed)
            self._weigh(batch[rows], values[rows], None if extra is None else extra[rows])

    def _tune(self, batch: ArchBatch, values: Floats, extra: Floats | None) -> None:
        inputs = Inputs.of(self.space, extra)
        x = inputs(batch, extra)
        self._spread = _overconfidence(inputs.groups, x, values)
        process = GaussianProcess(inputs.groups)
        process.fit(x, values)
        self._parameters = process.parameters

    def _weigh(self, batch: ArchBatch, values: Floats, extra: Floats | None) -> None:
        inputs = Inputs.of(self.space, extra)
        process = GaussianProcess(inputs.groups)
        process.fit(inputs(batch, extra), values)
        guess, _ = process.held_out()
        trees = held_out_predictions(batch, values, extra, seed=self.seed, threads=self.threads)
        errors = [np.mean(((1 - w) * guess + w * trees - values) ** 2) for w in WEIGHTS]
        self.weight = float(WEIGHTS[int(np.argmin(errors))])


def _overconfidence(groups: Ints, x: Floats, values: Floats) -> float:
    """By what the deviations of a process are too small: of one that knows the first two thirds, on the last third."""
    known = 2 * len(values) // 3
    process = GaussianProcess(groups)
    process.fit(x[:known], values[:known])
    mean, std = process.predict(x[known:])
    missed = float(np.mean((mean - values[known:]) ** 2)) - process.noise_std**2
    return float(np.sqrt(np.clip(missed / max(float(np.mean(std**2)), 1e-300), 1.0, MOST_SPREAD**2)))


def _stage_of(count: int, first: int, growth: float) -> int:
    """The largest number of a geometric schedule that is no more than `count`; 0 below the first."""
    stage, following = 0, first
    while following <= count:
        stage, following = following, int(np.ceil(following * growth))
    return stage


__all__ = ["KINDS", "Further", "Kind", "Surrogate"]
