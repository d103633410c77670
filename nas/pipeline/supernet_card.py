"""The card of a trained supernet, which lies beside its weights and says what they are of; read without torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nas.errors import NasError
from nas.kept import Shape, is_there, previous_of, read_record

CARD, WEIGHTS = "supernet.json", "supernet.safetensors"


class SupernetCard(Shape):
    """What every version's card has."""

    space_hash: str
    classes: int
    data: str
    data_spec: str
    resolution_scale: float
    seed: int
    steps: int
    sampler: dict[str, Any]
    warnings: list[str]


def read_card(folder: Path) -> dict[str, Any]:
    """The card in a study's folder.

    Raises:
        NasError: there is no trained supernet, or its card is damaged.
    """
    if not is_there(folder / CARD):
        raise NasError(
            f"{folder}: no trained supernet there; it is written when a study's own training ends."
        )
    return read_record(folder / CARD, SupernetCard, anew(folder)).data


def anew(folder: Path) -> str:
    """What to do about weights that cannot be used, a sentence or two."""
    return (
        f"Put a copy of {WEIGHTS} and {CARD} back, or delete {folder / CARD} (and {previous_of(Path(CARD))} beside "
        "it) and repeat the command of the study that trained it with --resume: it trains again, to the same weights."
    )


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
    train = read_card(folder).get("train")
    sampler = train.get("sampler") if isinstance(train, dict) else None
    if not isinstance(sampler, dict) or "name" not in sampler:
        raise NasError(f"{folder / CARD}: does not say how the supernet was trained. {anew(folder)}")
    return bool(sampler["name"] == "relaxed")
