"""The card of a trained supernet, which lies beside its weights and says what they are of; read without torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

CARD = "supernet.json"


def read_card(folder: Path) -> dict[str, Any] | None:
    """The card in a study's folder; None: there is no trained supernet."""
    file = folder / CARD
    return dict(json.loads(file.read_text(encoding="utf-8"))) if file.exists() else None


def trained_on(folder: Path) -> str | None:
    """Data specification that a study's supernet was trained on; None if there is no supernet there."""
    card = read_card(folder)
    return None if card is None else str(card["data_spec"])


def trained_relaxed(folder: Path) -> bool | None:
    """Whether a study's supernet was trained relaxed and so has logits; None if there is no supernet there."""
    card = read_card(folder)
    return None if card is None else bool(card["train"]["sampler"]["name"] == "relaxed")
