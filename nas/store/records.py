"""What goes into a storage and what comes out: plain, immutable, typed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from nas.metrics import PROVENANCES, Direction, Metric
from nas.store.leases import Lease

StudyState = Literal["running", "finished", "interrupted", "failed", "lost"]
"""`lost`: it was left as running by a process that is gone; no study is stored with it."""
TrialState = Literal["running", "complete", "failed", "infeasible"]
SEARCH = "search"
"""Stage of the metrics a trial was evaluated with; the only ones a front is made of."""
RETRAINING = "retraining/"
"""What the names of series begin with that are of a network trained alone; its arch id follows."""


@dataclass(frozen=True)
class Objective:
    """A metric to be optimised.

    Attributes:
        name: the metric's name.
        direction: `"min"` or `"max"`.
        unit: the metric's unit.
    """

    name: str
    direction: Direction
    unit: str = ""


@dataclass(frozen=True)
class StudyRow:
    """A study as stored.

    Attributes:
        id: key of the study in this storage.
        config: the configuration it runs with; `facts`: what else must be known to repeat it.
        constraints: as the caller wrote them.
        reference_point: corner of the hypervolume, by objective name, if there is one yet.
        n_trials: trials so far; their numbers are 0 … n_trials - 1. `n_complete` of them are
            evaluated.
        generation: highest generation of any trial, -1 before the first.
        revision: grows by one with every commit to this study.
        epoch: grows when trials are taken back; who follows the study starts over then.
        runner: the process that runs it, or did when it was lost.
    """

    id: int
    name: str
    state: StudyState
    created: datetime
    updated: datetime
    space: str
    space_hash: str
    config: dict[str, Any]
    objectives: tuple[Objective, ...]
    constraints: list[dict[str, Any]]
    reference_point: dict[str, float] | None
    facts: dict[str, Any]
    n_trials: int
    n_complete: int
    generation: int
    revision: int
    epoch: int
    runner: Lease | None = None

    @property
    def directions(self) -> tuple[Direction, ...]:
        """Direction of each objective."""
        return tuple(objective.direction for objective in self.objectives)


@dataclass(frozen=True)
class StudyMark:
    """What tells whether a study has changed; as in `StudyRow`."""

    id: int
    name: str
    created: datetime
    epoch: int
    revision: int
    state: StudyState


@dataclass(frozen=True)
class TrialRecord:
    """One architecture to be stored.

    Attributes:
        arch: value of every decision, by name.
        state: `running` reserves the architecture before its evaluation; such a record has no
            metrics. A later record of the same architecture finishes it.
        metrics: by name, all of them of the stage `search`.
        wall_s: seconds its evaluation took.
        violation: how far its constraints are exceeded, 0 where all hold.
    """

    arch_id: str
    arch: Mapping[str, Any]
    generation: int
    state: TrialState = "complete"
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    wall_s: float | None = None
    violation: float = 0.0


@dataclass(frozen=True)
class StoredMetric:
    """A metric of a trial and the stage it was taken at."""

    name: str
    stage: str
    metric: Metric


@dataclass(frozen=True)
class TrialRow:
    """A trial as stored; `revision` is that of the last commit that touched it."""

    number: int
    arch_id: str
    arch: dict[str, Any]
    generation: int
    state: TrialState
    violation: float
    created: datetime
    finished: datetime | None
    wall_s: float | None
    revision: int
    stored: tuple[StoredMetric, ...] = ()

    @property
    def metrics(self) -> dict[str, Metric]:
        """The metrics it was evaluated with during the search, by name."""
        return self.at(SEARCH)

    def at(self, stage: str) -> dict[str, Metric]:
        """Metrics of one stage, by name; of several the most direct, counted and measured first."""
        found = [item for item in self.stored if item.stage == stage]
        found.sort(key=lambda item: PROVENANCES.index(item.metric.provenance), reverse=True)
        return {item.name: item.metric for item in found}


@dataclass(frozen=True)
class GenerationRow:
    """The front after a generation.

    Attributes:
        n_evaluations: complete trials by then.
        hypervolume: None where the study had no reference point.
        wall_s: seconds of work since the study began, as the driver counts them.
    """

    generation: int
    n_evaluations: int
    front_size: int
    hypervolume: float | None
    wall_s: float | None
    created: datetime


@dataclass(frozen=True)
class SeriesPoint:
    """One step of a named time series, such as a training loss."""

    name: str
    step: int
    data: Mapping[str, Any]


@dataclass(frozen=True)
class Preset:
    """A reference architecture and what it reaches under the study's own evaluation."""

    name: str
    arch_id: str
    arch: Mapping[str, Any]
    metrics: Mapping[str, Metric]


@dataclass(frozen=True)
class Artefact:
    """A file that belongs to a study, or to one of its trials.

    Attributes:
        path: relative to the study's folder, or absolute; one artefact a path.
        kind: `"checkpoint"`, `"report"`, `"onnx"` …
        sha256: of the file's bytes, in hexadecimal.
        number: of the trial, if it belongs to one.
    """

    path: str
    kind: str
    sha256: str
    number: int | None = None
    created: datetime | None = None
