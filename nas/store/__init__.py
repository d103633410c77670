"""Studies, trials, metrics and fronts in a SQL database."""

from __future__ import annotations

from nas.store.engine import default_url
from nas.store.records import (
    RETRAINING,
    Artefact,
    GenerationRow,
    Objective,
    Preset,
    SeriesPoint,
    StoredMetric,
    StudyRow,
    StudyState,
    TrialRecord,
    TrialRow,
    TrialState,
)
from nas.store.resume import check_resumable
from nas.store.storage import Storage

__all__ = [
    "RETRAINING",
    "Artefact",
    "GenerationRow",
    "Objective",
    "Preset",
    "SeriesPoint",
    "Storage",
    "StoredMetric",
    "StudyRow",
    "StudyState",
    "TrialRecord",
    "TrialRow",
    "TrialState",
    "check_resumable",
    "default_url",
]
