"""Evaluators of accuracy: inherited weights of a supernet, or a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

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

    def final(self, arch: Arch) -> Metric | None:
        """Accuracy on the test split; None where there is no other split."""


@dataclass(frozen=True)
class SupernetEvaluator:
    """Inherited accuracy on the search split while searching, on the test split for the final numbers."""

    searching: InheritedAccuracy
    finishing: InheritedAccuracy
    data: str

    def evaluate(self, arch: Arch) -> dict[str, Metric]:
        return self.searching(arch).metrics(f"{self.data} search split, inherited weights")

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

    def final(self, arch: Arch) -> Metric | None:
        return None


@dataclass(frozen=True)
class NoEvaluator:
    """For runs that neither optimise nor constrain accuracy."""

    def evaluate(self, arch: Arch) -> dict[str, Metric]:
        return {}

    def final(self, arch: Arch) -> Metric | None:
        return None


def supernet_evaluator(plan: RunPlan, trained: TrainedSupernet, data: RunData) -> SupernetEvaluator:
    """The evaluator of a run with a supernet."""
    settings = plan.settings.evaluate
    device = compute_device()
    precision = autocast(choose(plan.settings.train.precision, device), device)
    supernet = trained.supernet.to(device)

    def evaluator(split: str, recalibrate: int, limit: int) -> InheritedAccuracy:
        return InheritedAccuracy(
            supernet,
            calibration=lambda seed: (
                x.to(device) for x in data.calibration(seed, recalibrate, settings.batch)
            ),
            images=lambda: (
                (x.to(device), y.to(device)) for x, y in data.evaluation(split, settings.batch, limit)
            ),
            seed=plan.settings.seed,
            autocast=precision,
        )

    return SupernetEvaluator(
        evaluator("search", settings.recalibrate, settings.images),
        evaluator("test", settings.final_recalibrate, 0),
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
