"""The plan of a stored study, for what is done with its architectures later."""

from __future__ import annotations

from collections.abc import Sequence

from nas.errors import NasError
from nas.pipeline.metrics import CheapMetrics
from nas.pipeline.plan import RunPlan
from nas.settings import RunSettings, with_changes
from nas.space.space import Space
from nas.store import StudyRow

RETRAINED_BY = ("train.", "evaluate.", "seed", "threads")
SEARCHED_BY = ("train.sampler.", "train.relaxed.", "train.conflict_every")


def settings_of(study: StudyRow) -> RunSettings:
    """The settings a study ran with."""
    return RunSettings.model_validate(study.config["settings"])


def plan_of(study: StudyRow, space: Space, settings: RunSettings | None = None) -> RunPlan:
    """Space and settings of a study, and whose supernet it used; without its objectives and devices.

    Args:
        settings: in place of the study's own.
    """
    return RunPlan(
        space=space,
        settings=settings or settings_of(study),
        objectives=(),
        constraints=(),
        metrics=CheapMetrics(space),
        accuracy_table=None,
        supernet=study.config.get("supernet") or study.name,
        name=study.name,
        storage=None,
    )


def retraining_settings(study: StudyRow, assignments: Sequence[str] = ()) -> RunSettings:
    """The study's settings for training one network: changed by `a.b=c` assignments.

    `train.epochs` takes the place of a number of steps that the study has.

    Raises:
        NasError: a key that retraining does not read, or a value out of range.
    """
    keys = [assignment.partition("=")[0].strip() for assignment in assignments]
    for key in keys:
        if not key.startswith(RETRAINED_BY) or key.startswith(SEARCHED_BY):
            raise NasError(
                f"--set {key}: retraining trains one network on the study's data; it reads train.* (without sampler, "
                "relaxed and conflict_every), evaluate.*, seed and threads."
            )
    by_epochs = ["train.steps=0"] if "train.epochs" in keys and "train.steps" not in keys else []
    return with_changes(settings_of(study), [*assignments, *by_epochs, "train.conflict_every=0"])
