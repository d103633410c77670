"""Batches as pure functions of (seed, step): resuming at any step needs no replay."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nas.data.augment import Augment
from nas.data.bundle import DataBundle
from nas.data.images import Images
from nas.data.pictures import with_channels

MEAN, STD = 0.5, 0.25


def normalised(images: Tensor) -> Tensor:
    """0..1 to about zero mean and unit variance, whatever the data set."""
    return (images - MEAN) / STD


class TrainingBatches:
    """Augmented training batches; the next one is decoded while this one is trained on.

    Args:
        data: whose training split is shown.
        batch: images per step.
        side: of the images, in pixels.
        seed: of the order.
        augment: what to do to the images.
        device: where to augment, and where the batches end up.
        channels: that the network reads.
    """

    def __init__(
        self,
        data: DataBundle,
        batch: int,
        side: int,
        seed: int,
        augment: Augment,
        device: torch.device | None = None,
        channels: int = 3,
    ) -> None:
        self.channels = channels
        self.data, self.size, self.side, self.seed, self.augment = data, batch, side, seed, augment
        self.classes, self.device = data.classes, device or torch.device("cpu")
        self._next: tuple[int, Callable[[], Tensor]] | None = None

    def steps_per_epoch(self) -> int:
        """Whole batches in the training split, at least one."""
        return max(len(self.data.train.labels) // self.size, 1)

    def batch(self, step: int, strength: float = 1.0) -> tuple[Tensor, Tensor]:
        """Normalised images `(batch, channels, side, side)` and labels `(batch,)` of a step.

        Args:
            strength: of the augmentation, as a share of its recipe's.
        """
        ready = self._next[1] if self._next is not None and self._next[0] == step else self._read(step)
        images = ready().to(self.device)
        self._next = (step + 1, self._read(step + 1))
        labels = self.data.train.labels[torch.from_numpy(self.indices(step))]
        augmented = with_channels(self.augment(images, step, strength), self.channels)
        return normalised(augmented), labels.to(self.device)

    def indices(self, step: int) -> NDArray[np.int64]:
        """Which training images a step shows: every image once per epoch, but for an incomplete last batch."""
        per_epoch = self.steps_per_epoch()
        order = epoch_order(len(self.data.train.labels), self.seed, step // per_epoch)
        start = step % per_epoch * self.size
        return np.take(order, np.arange(start, start + self.size), mode="wrap")

    def _read(self, step: int) -> Callable[[], Tensor]:
        crops = self.augment.crops(step, self.size)
        return self.data.train.begin(self.indices(step).tolist(), self.side, crops)


@lru_cache(maxsize=4)
def epoch_order(count: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """Order of the training images in an epoch."""
    order = np.random.default_rng([seed, 12, epoch]).permutation(count)
    order.flags.writeable = False  # shared by every caller of the cache
    return order


def calibration_batches(
    data: DataBundle, seed: int, batches: int, batch: int, side: int, augment: Augment, channels: int = 3
) -> Iterator[Tensor]:
    """Augmented training images for batch norms; a function of `seed` and of the augmentation's seed."""
    rng = np.random.default_rng([seed, 13])
    count = len(data.train.labels)
    for index in range(batches):
        chosen = rng.integers(count, size=min(batch, count))
        step = (seed + index) % 2**63
        images = data.train.get(chosen.tolist(), side, augment.crops(step, len(chosen)))
        yield normalised(with_channels(augment(images, step), channels))


def evaluation_batches(
    images: Images, batch: int, side: int, limit: int, channels: int = 3
) -> Iterator[tuple[Tensor, Tensor]]:
    """All images of a split in order, or `limit` of them spread evenly, which every call repeats."""
    count = len(images.labels)
    chosen = np.arange(count)
    if limit and limit < count:
        chosen = np.linspace(0, count - 1, limit).round().astype(np.int64)
    for start in range(0, len(chosen), batch):
        part = chosen[start : start + batch]
        pixels = with_channels(images.get(part.tolist(), side), channels)
        yield normalised(pixels), images.labels[torch.from_numpy(part)]
