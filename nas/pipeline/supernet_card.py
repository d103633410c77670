"""The card of a trained supernet, which lies beside its weights and says what they are of; read without torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nas.errors import NasError

CARD = "supernet.json"


def read_card(folder: Path) -> dict[str, Any]:
    """The card in a study's folder.

    Raises:
        NasError: there is no trained supernet.
    """
    file = folder / CARD
    if not file.exists():
        raise NasError(
            f"{folder}: no trained supernet there; it is written when a study's own training ends."
        )
    return dict(json.loads(file.read_text(encoding="utf-8")))


def trained_on(folder: Path) -> str:
    """Data specification that a study's supernet was trained on.

    Raises:
        NasError: there is no trained supernet.
    """
    return str(read_card(folder)["data_spec"])


def trained_relaxed(folder: Path) -> bool:
    """Whether a study's supernet was trained relaxed and so has logits.

    Raises:
        NasError: there is no trained supernet.
    """
    return bool(read_card(folder)["train"]["sampler"]["name"] == "relaxed")
