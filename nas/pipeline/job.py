"""A training of a supernet or of one network that can be interrupted, resumed, and shared by several processes."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from torch import Tensor

from nas.pipeline.data import RunData, fingerprints
from nas.pipeline.load_data import load_run_data
from nas.pipeline.plan import RunPlan
from nas.pipeline.progress import Interrupt, Reporter
from nas.store import SeriesPoint
from nas.supernet.parallel import Group
from nas.supernet.trainer import StepReport, Trainer, total_steps

Keep = Callable[[Sequence[SeriesPoint]], None]
"""Told the points of a training series, in order."""


UP_TO_CHECKPOINT = "what was done up to the last checkpoint is saved"


class Interrupted(Exception):
    """The user asked to stop; says what is saved."""

    def __init__(self, saved: str = "everything is saved") -> None:
        super().__init__(saved)


@dataclass(frozen=True)
class Outcome:
    """What a training leaves: weights by name, and a card about them."""

    weights: Mapping[str, Tensor]
    card: dict[str, Any]


class Job(ABC):
    """What is trained, in plain parts that another process can be handed.

    Attributes:
        plan: with the settings of the training.
        name: of the training, for progress.
    """

    plan: RunPlan
    name: str

    @property
    @abstractmethod
    def folder(self) -> Path:
        """Where its checkpoints go."""

    def data(self) -> RunData:
        """What it is trained on, loaded by the process that asks."""
        return load_run_data(self.plan)

    def identity(self, data: RunData) -> str:
        """A word that tells its checkpoints from those of any other training."""
        settings, space = self.plan.settings, self.plan.space
        train = settings.train.model_dump(
            exclude={"checkpoint_every", "checkpoint_seconds"}, exclude_defaults=True
        )
        parts = [self.name, space.hash, settings.seed, train, data.name, fingerprints(data)]
        return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:32]

    def steps(self, data: RunData) -> int:
        """Steps of the whole training."""
        settings = self.plan.settings.train
        return total_steps(settings, data.training(settings.batch).steps_per_epoch())[0]

    @abstractmethod
    def portable(self) -> Self:
        """The same for another process, without what only the driver needs."""

    @abstractmethod
    def trainer(self, data: RunData, group: Group | None = None) -> Trainer[Any]:
        """A trainer with its initial weights; `group` are the processes that train together."""

    @abstractmethod
    def points(self, report: StepReport, trainer: Trainer[Any]) -> list[SeriesPoint]:
        """What the storage keeps of a step."""

    @abstractmethod
    def finished(self, data: RunData, trainer: Trainer[Any]) -> Outcome:
        """What a trainer leaves that has come to its end."""


def train_here(job: Job, data: RunData, reporter: Reporter, interrupt: Interrupt, keep: Keep) -> Outcome:
    """Train on this machine by one process, or go on from the last checkpoint.

    Raises:
        Interrupted: the user asked to stop; a checkpoint is written.
    """
    trainer = job.trainer(data)
    if trainer.resume():
        reporter.say(f"training continues at step {trainer.step} of {trainer.total}")
    with reporter.task(job.name, trainer.total, trainer.step) as task:
        points: list[SeriesPoint] = []
        for report in trainer.steps():
            points += job.points(report, trainer)
            task.advance(f"loss {report.loss:.3f}")
            if trainer.due or interrupt.asked:
                keep(points)
                points = []
            if interrupt.asked and trainer.step < trainer.total:
                trainer.save(between=True)
                raise Interrupted(f"step {trainer.step} of {trainer.total} is saved")
    for warning in trainer.warnings:
        reporter.warn(warning)
    return job.finished(data, trainer)
