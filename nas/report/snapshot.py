"""All that a report reads of a study, read once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from nas.errors import NasError
from nas.metrics import Metric
from nas.search.objective import kind_of
from nas.store import RETRAINING, GenerationRow, Preset, Storage, StudyRow, TrialRow

if TYPE_CHECKING:
    from pandas import DataFrame

SERIES = ("train", "conflict", "predictor", "course", "generator")
FINAL, RETRAINED, PREDICTED, MEASURED = "final", "retrained", "predicted", "measured"
LATER = (RETRAINED, PREDICTED, MEASURED)
"""Stages of what is found out about a trial after its run."""
Series = list[tuple[int, dict[str, Any]]]


@dataclass(frozen=True)
class Snapshot:
    """A study at one moment.

    Attributes:
        trials: every trial, with the columns of `nas.store.frames`.
        front: the members of its front, by trial number.
        series: (step, data) of each of `SERIES`; empty where the run recorded none.
        retrainings: (step, data) of each network that was retrained, by arch id.
    """

    study: StudyRow
    trials: DataFrame
    front: Sequence[TrialRow]
    presets: Sequence[Preset]
    generations: Sequence[GenerationRow]
    series: Mapping[str, Series]
    retrainings: Mapping[str, Series] = field(default_factory=dict)

    @property
    def facts(self) -> Mapping[str, Any]:
        """What the run noted about itself; any key may be missing."""
        return self.study.facts

    @cached_property
    def units(self) -> dict[str, str]:
        """Unit of every metric a trial was searched with, by name."""
        known = {name: _unit(name) for name in metric_names(self.trials)}
        known |= {name: metric.unit for name, metric in self._searched}
        return known | {objective.name: objective.unit for objective in self.study.objectives}

    @cached_property
    def details(self) -> dict[str, set[str]]:
        """What the metrics of the search refer to (`Metric.detail`), by name; of front members."""
        found: dict[str, set[str]] = {}
        for name, metric in self._searched:
            found.setdefault(name, set()).add(metric.detail)
        return found

    def device(self, name: str) -> str:
        """The device that a latency is of, `""` where its name says it or it is of none."""
        details = self.details.get(name, set())
        only = next(iter(details)) if len(details) == 1 else ""
        return only if only in (self.study.config.get("devices") or []) else ""

    @cached_property
    def counts(self) -> dict[str, int]:
        """Number of trials in each state that occurs."""
        return {str(state): int(n) for state, n in self.trials["state"].value_counts().items()}

    @property
    def _searched(self) -> list[tuple[str, Metric]]:
        return [item for trial in self.front for item in trial.metrics.items()]


def read_snapshot(storage: Storage, name: str) -> Snapshot:
    """The study of that name as it is now, finished or not.

    Raises:
        NasError: no such study, or a storage that cannot be read.
    """
    study = storage.study(name)
    return Snapshot(
        study,
        storage.trials_frame(study.id),
        storage.front(study.id),
        storage.presets(study.id),
        storage.hypervolume_history(study.id),
        {series: storage.series(study.id, series) for series in SERIES},
        read_retrainings(storage, study.id),
    )


def read_retrainings(storage: Storage, study_id: int) -> dict[str, Series]:
    """Training series of the networks that were retrained, by arch id."""
    names = [name for name in storage.series_names(study_id) if name.startswith(RETRAINING)]
    return {name.removeprefix(RETRAINING): storage.series(study_id, name) for name in names}


def metric_names(trials: DataFrame) -> list[str]:
    """Names of the metrics of the search among a frame's columns; later stages read `STAGE.NAME`."""
    titles = [str(column) for column in trials if not str(column).startswith("arch.")]
    names = [title.removesuffix(".provenance") for title in titles if title.endswith(".provenance")]
    return [name for name in names if "." not in name.partition("@")[0]]


def _unit(name: str) -> str:
    try:
        return kind_of(name).unit
    except NasError:
        return ""
