"""Which stored targets fit a training: those of the same images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nas.errors import NasError
from nas.pipeline.data import RunData, fingerprints
from nas.settings import RunSettings
from nas.supernet.stored_logits import StoredLogits


def identity(settings: RunSettings, data: RunData, steps: int) -> dict[str, Any]:
    """What the images of a training depend on, by name."""
    train = settings.train
    course = {"train.steps": steps} if train.progressive.phases > 1 else {}
    return {
        "seed": settings.seed,
        "data": data.name,
        "data.search_share": settings.data.search_share,
        **fingerprints(data),
        "images of": f"{getattr(data, 'side', 0)} px",
        "train.batch": train.batch,
        "train.augment": train.augment,
        "train.mirror": train.mirror,
        "train.mix": train.mix,
        "train.progressive": train.progressive.model_dump(),
        "train.shares": list(train.shares),
        "train.teacher_temperature": train.teacher_temperature,
        **course,
    }


def stored_logits(settings: RunSettings, data: RunData, steps: int) -> StoredLogits | None:
    """The stored targets that a training names; None: it names none.

    Raises:
        NasError: they are missing, damaged, of other images, or there are teachers too.
    """
    if not settings.train.logits:
        return None
    if settings.train.teachers:
        raise NasError(
            "train.logits holds what teachers said; without train.teachers, or the other way round."
        )
    stored = StoredLogits(Path(settings.train.logits))
    stored.check(identity(settings, data, steps), steps)
    if stored.about.classes != data.classes:
        apart = f"{stored.about.classes:,} classes apart, the data have {data.classes:,}"
        raise NasError(f"{stored.folder}: its teachers tell {apart}.")
    return stored
