"""Retrained weights on disk: `nas-runs/STUDY/retrain/ARCH`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.errors import NasError
from nas.files import write_atomically
from nas.metrics import Metric
from nas.pipeline.plan import study_folder
from nas.settings import differences

if TYPE_CHECKING:
    from torch import Tensor

BEGUN, WEIGHTS, CARD = "begun.json", "retrained.safetensors", "retrained.json"


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

    @property
    def accuracy(self) -> Metric:
        """Top-1 on the test images."""
        from nas.accuracy.inherited import Evaluation

        card = self.card
        evaluation = Evaluation(card["correct"], card["n"], card["loss"])
        return evaluation.metric(f"{card['data']} test split, retrained from {card['start']}")


class RetrainFolder:
    """The files of one retraining: what it was begun with, its weights, then its card, which says they are whole."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

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
            return self.read() if (self.folder / CARD).exists() else None
        if known is not None and not overwrite:
            finished = (self.folder / CARD).exists()
            raise NasError(
                f"{self.folder} holds {'a finished' if finished else 'an unfinished'} retraining from "
                f"{known['start']}. --resume {'takes it as it is' if finished else 'goes on with it'}, --overwrite "
                "begins again."
            )
        for name in (CARD, WEIGHTS, "checkpoint.pt", "checkpoint.previous.pt"):
            (self.folder / name).unlink(missing_ok=True)
        write_atomically(self.folder / BEGUN, json.dumps(facts, indent=1))
        return None

    def finish(self, weights: Mapping[str, Tensor], outcome: Mapping[str, Any]) -> None:
        """Write weights, then the card: what it was begun with and its outcome."""
        from safetensors.torch import save

        state = {name: tensor.contiguous() for name, tensor in weights.items()}
        write_atomically(self.folder / WEIGHTS, save(state))
        write_atomically(self.folder / CARD, json.dumps({**(self._begun() or {}), **outcome}, indent=1))

    def read(self) -> Retrained:
        """The finished retraining.

        Raises:
            NasError: there is none.
        """
        file = self.folder / CARD
        if not file.exists():
            raise NasError(f"{self.folder}: no retrained weights there; `nas retrain TRIAL` makes them.")
        return Retrained(self.folder / WEIGHTS, json.loads(file.read_text(encoding="utf-8")))

    def _begun(self) -> dict[str, Any] | None:
        file = self.folder / BEGUN
        return dict(json.loads(file.read_text(encoding="utf-8"))) if file.exists() else None

    def _check_same(self, known: dict[str, Any] | None, facts: Mapping[str, Any]) -> None:
        if known is None:
            raise NasError(
                f"{self.folder}: there is no retraining to resume; leave --resume out to begin it."
            )
        given = {key: value for key, value in json.loads(json.dumps(facts)).items() if key in known}
        for key, (then, now) in differences(known, given).items():  # earlier versions wrote fewer
            raise NasError(
                f"this retraining was begun with {key} {then!r}, not {now!r}; give what it was begun with, or begin "
                "again with --overwrite."
            )
