"""Retrained weights on disk: `nas-runs/STUDY/retrain/ARCH`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.errors import NasError
from nas.kept import Shape, is_there, previous_of, read_record, write_record
from nas.kept_weights import WEIGHTS_HASH, read_weights, write_weights
from nas.metrics import Metric
from nas.pipeline.plan import study_folder
from nas.settings import differences
from nas.store.resume import MAY_CHANGE

if TYPE_CHECKING:
    from torch import Tensor

BEGUN, WEIGHTS, CARD = "begun.json", "retrained.safetensors", "retrained.json"
CHECKPOINTS = ("checkpoint.pt", "checkpoint.previous.pt", "checkpoint.between.pt")


def again(folder: Path) -> str:
    """What to do about files of a retraining that cannot be used."""
    return f"Retrain again: nas retrain … --overwrite; or delete {folder} first."


class Begun(Shape):
    """What every version's retraining was begun with."""

    start: str
    arch_id: str
    settings: dict[str, Any]


class RetrainedCard(Begun):
    """What every version's finished retraining has."""

    correct: int
    n: int
    loss: float
    steps: int
    data: str
    supernet: str | None


def folder_of(study: str, arch_id: str) -> Path:
    """Where the retrained network of an architecture lies."""
    return study_folder(study) / "retrain" / arch_id


@dataclass(frozen=True)
class Retrained:
    """A finished retraining.

    Attributes:
        weights: file of the network's weights, batch norms recalibrated.
        card: what it was trained on and how, and its outcome on the test images.
    """

    weights: Path
    card: Mapping[str, Any]

    def tensors(self) -> dict[str, Tensor]:
        """The weights by name.

        Raises:
            NasError: they are missing, damaged, or not those of the card.
        """
        return read_weights(self.weights, self.card, again(self.weights.parent))

    @property
    def accuracy(self) -> Metric:
        """Top-1 on the test images."""
        from nas.accuracy.inherited import Evaluation

        card = self.card
        evaluation = Evaluation(card["correct"], card["n"], card["loss"])
        return evaluation.metric(f"{card['data']} test split, retrained from {card['start']}")


class RetrainFolder:
    """The files of one retraining: what it was begun with, its weights, then its card, which says they are whole."""

    def __init__(self, folder: Path, what: str = "TRIAL") -> None:
        """The folder, and what is retrained in it as `nas retrain` takes it."""
        self.folder, self.what = folder, what

    @property
    def begun(self) -> bool:
        """Whether there is one, finished or not."""
        return self._begun() is not None

    def begin(self, facts: Mapping[str, Any], *, resume: bool, overwrite: bool) -> Retrained | None:
        """Prepare to train; the finished retraining where one is resumed that has come to its end.

        Args:
            facts: what the outcome depends on, as plain data.

        Raises:
            NasError: there is one already, none to resume, or one that depends on something else.
        """
        known = self._begun()
        if resume:
            self._check_same(known, facts)
            return self.read() if is_there(self.folder / CARD) else None
        if known is not None and not overwrite:
            finished = is_there(self.folder / CARD)
            raise NasError(
                f"{self.folder} holds {'a finished' if finished else 'an unfinished'} retraining from "
                f"{known['start']}. --resume {'takes it as it is' if finished else 'goes on with it'}, --overwrite "
                "begins again."
            )
        records = [self.folder / name for name in (CARD, BEGUN)]
        others = [self.folder / name for name in (WEIGHTS, *CHECKPOINTS)]
        for file in (
            *records,
            *map(previous_of, records),
            *others,
        ):  # nothing of an earlier one is gone back to
            file.unlink(missing_ok=True)
        write_record(self.folder / BEGUN, facts, indent=1)
        return None

    def finish(self, weights: Mapping[str, Tensor], outcome: Mapping[str, Any]) -> None:
        """Write weights, then the card: what it was begun with and its outcome."""
        stated = write_weights(self.folder / WEIGHTS, weights)
        card = {**(self._begun() or {}), **outcome, WEIGHTS_HASH: stated}
        write_record(self.folder / CARD, card, indent=1)

    def read(self) -> Retrained:
        """The finished retraining.

        Raises:
            NasError: there is none.
        """
        file = self.folder / CARD
        if not is_there(file):
            raise NasError(
                f"{self.folder}: no retrained weights there; `nas retrain {self.what}` makes them."
            )
        card = read_record(file, RetrainedCard, again(self.folder)).data
        return Retrained(self.folder / WEIGHTS, card)

    def _begun(self) -> dict[str, Any] | None:
        file = self.folder / BEGUN
        return read_record(file, Begun, again(self.folder)).data if is_there(file) else None

    def _check_same(self, known: dict[str, Any] | None, facts: Mapping[str, Any]) -> None:
        if known is None:
            raise NasError(
                f"{self.folder}: there is no retraining to resume; leave --resume out to begin it."
            )
        given = {key: value for key, value in json.loads(json.dumps(facts)).items() if key in known}
        for key, (then, now) in differences(known, given).items():  # earlier versions wrote fewer
            if key in MAY_CHANGE or then is None:
                continue
            raise NasError(
                f"this retraining was begun with {key} {then!r}, not {now!r}; give what it was begun with, or begin "
                "again with --overwrite."
            )
