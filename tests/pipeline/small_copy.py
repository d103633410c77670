"""Shipped spaces made small, so that a whole run of one takes seconds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from nas.content import folders

SETTINGS = (
    "threads=1", "train.steps=4", "train.batch=8", "train.checkpoint_every=4", "train.conflict_every=0",
    "evaluate.recalibrate=1", "evaluate.final_recalibrate=1", "evaluate.images=32", "evaluate.stimuli=8",
    "search.batch=2",
)  # fmt: skip


def small_copy(name: str, folder: Path, stages: Mapping[str, Mapping[str, Any]], **top: Any) -> Path:
    """A copy of a shipped space with other choices, and without its presets.

    Args:
        stages: fields by stage.
        top: other entries of the file.
    """
    file = next(place / f"{name}.yaml" for place in folders("spaces") if (place / f"{name}.yaml").exists())
    text = yaml.safe_load(file.read_text())
    for stage, fields in stages.items():
        text["stages"][stage].update(fields)
    text = {**text, **top}
    del text["presets"]
    text.pop("published", None)
    copy = folder / f"{name}.yaml"
    copy.write_text(yaml.safe_dump(text, sort_keys=False))
    return copy
