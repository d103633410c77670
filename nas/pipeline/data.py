"""The data of a run: training batches, calibration batches and evaluation images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from torch import Tensor

    from nas.supernet.trainer import TrainingData


class RunData(Protocol):
    """What training and evaluation read."""

    @property
    def name(self) -> str:
        """Name of the data set."""

    @property
    def content(self) -> str:
        """Fingerprint of names and lengths of the images' files; empty where there are none."""

    @property
    def digest(self) -> str:
        """Fingerprint of what is in the images' files; empty where there are none."""

    @property
    def classes(self) -> int:
        """Number of classes."""

    def training(self, batch: int) -> TrainingData:
        """Augmented batches as a function of the step."""

    def calibration(self, seed: int, batches: int, batch: int) -> Iterator[Tensor]:
        """Training images for batch norms, drawn by a generator seeded with `seed`."""

    def evaluation(self, split: str, batch: int, limit: int) -> Iterator[tuple[Tensor, Tensor]]:
        """All images of a split (`search` or `test`), or the first `limit` of them; always the same."""

    def count(self, split: str) -> int:
        """Images in a split."""


def fingerprints(data: RunData) -> dict[str, str]:
    """What tells these images from others of the same name, 16 digits each; empty texts where they are not in files."""
    return {"content": data.content, "digest": data.digest}


def changed_fingerprint(data: RunData, known: Mapping[str, Any]) -> str | None:
    """Name of the first fingerprint in `known` that these images do not have; None: they are the same.

    Those that `known` lacks, as what earlier versions wrote down does, are not compared.
    """
    return next((name for name, now in fingerprints(data).items() if known.get(name, now) != now), None)
