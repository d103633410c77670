"""Accuracy of subnets with inherited weights, batch-norm statistics recalibrated.

An evaluation is a pure function of (weights, arch, seed): the images used to recalibrate are drawn by a
generator that is seeded by the arch's id, so that order, retries and parallel workers change nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import sqrt

import torch
import torch.nn.functional as F
from torch import Tensor

from nas.metrics import Metric
from nas.space.batch import Arch
from nas.supernet.network import Network
from nas.supernet.supernet import Supernet

Batch = tuple[Tensor, Tensor]
Z95 = 1.959964


@dataclass(frozen=True)
class Evaluation:
    """Outcome on `n` images: how many were right, and the mean cross-entropy."""

    correct: int
    n: int
    loss: float

    @property
    def accuracy(self) -> float:
        """Top-1 in 0..1."""
        return self.correct / self.n

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval that `n` images allow (Wilson score)."""
        p, n, z = self.accuracy, self.n, Z95
        centre = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return max(centre - half, 0.0), min(centre + half, 1.0)

    def metric(self, detail: str) -> Metric:
        """As a measured metric; `detail` names data set, split and origin of the weights."""
        low, high = self.interval
        return Metric(self.accuracy, "fraction", "measured", low, high, detail)

    def metrics(self, detail: str) -> dict[str, Metric]:
        """Accuracy and mean cross-entropy, by name."""
        return {
            "accuracy": self.metric(detail),
            "loss": Metric(self.loss, "nats", "measured", detail=detail),
        }


@dataclass(frozen=True)
class InheritedAccuracy:
    """Evaluates subnets of one supernet.

    Attributes:
        supernet: with the weights to inherit.
        calibration: batches of training images for batch norms, for a seed.
        images: batches to classify, always the same.
        seed: of the run.
        autocast: context that sets the precision.
    """

    supernet: Supernet
    calibration: Callable[[int], Iterator[Tensor]]
    images: Callable[[], Iterator[Batch]]
    seed: int
    autocast: Callable[[], torch.autocast]

    def __call__(self, arch: Arch) -> Evaluation:
        """Extract, recalibrate, classify."""
        network = self.supernet.extract(arch)
        seed = (int(arch.id, 16) + self.seed) % 2**63
        with torch.no_grad(), self.autocast():
            recalibrate(network, self.calibration(seed))
            return classify(network, self.images())


def recalibrate(network: Network, batches: Iterator[Tensor]) -> None:
    """Replace batch-norm statistics by the cumulative mean over `batches` of images, if there are any."""
    if not list(network.buffers()):
        network.eval()
        return
    for buffer in network.buffers():
        buffer.zero_()  # a statistic that is not finite would survive even a momentum of 1
    network.train()
    for index, images in enumerate(batches):
        network(images, momentum=1.0 / (index + 1))
    network.eval()


def classify(network: Network, batches: Iterator[Batch]) -> Evaluation:
    """Count right answers and average the cross-entropy."""
    correct, count, loss = 0, 0, 0.0
    for images, labels in batches:
        scores = network(images).float()
        correct += int((scores.argmax(1) == labels).sum())
        loss += float(F.cross_entropy(scores, labels, reduction="sum"))
        count += len(labels)
    return Evaluation(correct, count, loss / count)
