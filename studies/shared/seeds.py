"""Small networks trained alone over several seeds, and paired intervals of what differs between them.

A network is a preset of a space, trained by the platform's own `retrain`. Finished trainings lie in the working folder
(the current one) and are read back; an interrupted one goes on from its checkpoint.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import sqrt

import numpy as np
from scipy.stats import t as student

from nas.errors import NasError
from nas.pipeline.job import Interrupted
from nas.pipeline.load_data import LoadedData
from nas.pipeline.presets import find_preset, study_name
from nas.pipeline.progress import Interrupt, Silent
from nas.pipeline.retrained import Retrained, RetrainFolder
from nas.pipeline.retraining import RetrainJob, prepare_preset, retrain
from nas.supernet.network import Network

SEEDS = 5
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Contender:
    """One of the networks, or ways to train one, that a study compares.

    Attributes:
        name: in tables and in the names of folders.
        preset: `SPACE:PRESET` or `FILE.yaml:PRESET`; an absolute path where the study changes its folder.
        settings: of the training, as of `--set`; those of all contenders should differ in what is studied alone.
    """

    name: str
    preset: str
    settings: tuple[str, ...] = field(default=())

    def job(self, data: str, seed: int) -> tuple[RetrainJob, LoadedData]:
        """Its training with a seed, which draws the weights, the order of the images and the search split."""
        preset = find_preset(self.preset)
        job, loaded = prepare_preset(
            preset, None, "embedded", ["threads=1", *self.settings, f"seed={seed}"], data
        )
        name = f"{study_name(preset)}-{self.name}-{seed}".replace(" ", "-")
        return replace(job, plan=replace(job.plan, name=name)), loaded


@dataclass(frozen=True)
class Run:
    """A finished training.

    Attributes:
        top1: on the test images.
        loss: cross-entropy there.
    """

    contender: Contender
    seed: int
    job: RetrainJob
    data: LoadedData
    kept: Retrained

    @property
    def top1(self) -> float:
        return float(self.kept.accuracy.value)

    @property
    def loss(self) -> float:
        return float(self.kept.card["loss"])

    def network(self) -> Network:
        """The trained network, ready to classify."""
        network = self.job.network(self.data, self.kept.tensors())
        network.eval()
        return network


def train(contender: Contender, data: str, seed: int) -> Run:
    """Train one network, or read it back.

    Raises:
        NasError: it cannot be trained, or was interrupted; the same command goes on.
    """
    job, loaded = contender.job(data, seed)
    begun = RetrainFolder(job.folder).begun
    try:
        with Interrupt() as interrupt:
            kept = retrain(job, loaded, Silent(), interrupt, resume=begun)
    except Interrupted as stopped:
        raise NasError(
            f"{contender.name}, seed {seed}: stopped; {stopped}. The same command goes on."
        ) from None
    return Run(contender, seed, job, loaded, kept)


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % interval, over `n` seeds."""

    mean: float
    low: float
    high: float
    n: int

    def holds(self, value: float) -> bool:
        """Whether a value lies inside."""
        return self.low <= value <= self.high

    def points(self) -> str:
        """Of fractions, in points: `97.2 (96.5–97.9)`."""
        return f"{100 * self.mean:.1f} ({100 * self.low:.1f}–{100 * self.high:.1f})"

    def difference(self) -> str:
        """Of differences of fractions, in points, signed: `+0.4 (−0.2 to +1.0)`."""
        mean, low, high = (
            f"{100 * value:+.1f}".replace("-", "−") for value in (self.mean, self.low, self.high)
        )
        return f"{mean} ({low} to {high})"


def interval(values: Sequence[float]) -> Interval:
    """Student's t interval of a mean: mean ± t(0.975, n − 1) · s / √n.

    Raises:
        NasError: fewer than two values, which have no spread.
    """
    found = np.asarray(values, dtype=np.float64)
    if len(found) < 2:
        raise NasError("an interval needs two seeds at least.")
    reach = (
        float(student.ppf(0.5 + CONFIDENCE / 2, len(found) - 1)) * float(found.std(ddof=1)) / sqrt(len(found))
    )
    return Interval(float(found.mean()), float(found.mean()) - reach, float(found.mean()) + reach, len(found))


def paired(first: Sequence[float], second: Sequence[float]) -> Interval:
    """The interval of `first − second`, seed by seed: both were trained with the same seeds in the same order."""
    differences = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    return interval(differences.tolist())
