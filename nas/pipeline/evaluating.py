"""Evaluators of accuracy: inherited weights of a supernet, or a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from nas.accuracy.inherited import InheritedAccuracy
from nas.accuracy.probing import Probing
from nas.metrics import Metric
from nas.pipeline.data import RunData
from nas.pipeline.plan import RunPlan
from nas.pipeline.table import MeasuredTable
from nas.pipeline.training import TrainedSupernet, compute_device
from nas.space.batch import Arch, ArchBatch
from nas.supernet.precision import autocast, choose


class Evaluator(Protocol):
    """Accuracy of archs."""

    def evaluate(self, arch: Arch) -> dict[str, Metric]:
        """Accuracy, and the loss where there is one, on the search split; nothing where an arch has none."""

    def look(self, arch: Arch) -> dict[str, Metric]:
        """The same on few images; nothing where an evaluation costs no more than that."""

    def final(self, arch: Arch) -> Metric | None:
        """Accuracy on the test split; None where there is no other split."""


@dataclass(frozen=True)
class SupernetEvaluator:
    """Inherited accuracy on the search split while searching, on the test split for the final numbers."""

    searching: InheritedAccuracy
    looking: InheritedAccuracy
    finishing: InheritedAccuracy
    data: str

    def evaluate(self, arch: Arch) -> dict[str, Metric]:
        return self.searching(arch).metrics(f"{self.data} search split, inherited weights")

    def look(self, arch: Arch) -> dict[str, Metric]:
        """Accuracy and loss on few search images, few images having set the batch norms: what ranks candidates."""
        looked = self.looking(arch)
        return looked.metrics(f"{self.data} search split, a look at {looked.n} images, inherited weights")

    def final(self, arch: Arch) -> Metric:
        return self.finishing(arch).metric(f"{self.data} test split, inherited weights")


@dataclass(frozen=True)
class TableEvaluator:
    """Accuracies of a table of measured architectures."""

    table: MeasuredTable

    def evaluate(self, arch: Arch) -> dict[str, Metric]:
        value = float(self.table.values(ArchBatch(arch.space, arch.space.encode([arch]).codes))[0])
        known = Metric(value, "fraction", "table", detail=self.table.detail)
        return {} if np.isnan(value) else {"accuracy": known}

    def look(self, arch: Arch) -> dict[str, Metric]:
        return {}

    def final(self, arch: Arch) -> Metric | None:
        return None


@dataclass(frozen=True)
class NoEvaluator:
    """For runs that neither optimise nor constrain accuracy."""

    def evaluate(self, arch: Arch) -> dict[str, Metric]:
        return {}

    def look(self, arch: Arch) -> dict[str, Metric]:
        return {}

    def final(self, arch: Arch) -> Metric | None:
        return None


def supernet_evaluator(plan: RunPlan, trained: TrainedSupernet, data: RunData) -> SupernetEvaluator:
    """The evaluator of a run with a supernet."""
    settings = plan.settings.evaluate
    device = compute_device()
    precision = autocast(choose(plan.settings.train.precision, device), device)
    supernet = trained.supernet.to(device)

    def moved(images: Tensor) -> Tensor:
        return images.to(device, memory_format=torch.channels_last)

    def evaluator(split: str, batches: int, batch: int, limit: int) -> InheritedAccuracy:
        return InheritedAccuracy(
            supernet,
            calibration=lambda seed: (moved(x) for x in data.calibration(seed, batches, batch)),
            images=lambda: (
                (moved(x), y.to(device)) for x, y in data.evaluation(split, settings.batch, limit)
            ),
            seed=plan.settings.seed,
            autocast=precision,
        )

    return SupernetEvaluator(
        evaluator("search", settings.recalibrate, settings.batch, settings.images),
        evaluator("search", 1, settings.look_calibration, settings.look_images),
        evaluator("test", settings.final_recalibrate, settings.batch, 0),
        data.name,
    )


def supernet_probing(plan: RunPlan, trained: TrainedSupernet, data: RunData) -> Probing:
    """Probes of a run with a supernet; the stimuli are search images, spread evenly over the split."""
    device, stimuli = compute_device(), plan.settings.evaluate.stimuli
    return Probing(
        trained.supernet.to(device),
        lambda: ((x.to(device), y.to(device)) for x, y in data.evaluation("search", stimuli, stimuli)),
    )


def interval_overlaps(a: Metric, b: Metric) -> bool:
    """Whether two accuracies cannot be told apart with these images."""
    if a.low is None or a.high is None or b.low is None or b.high is None:
        return False
    return a.low <= b.high and b.low <= a.high
