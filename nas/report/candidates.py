"""Architectures with what is known of them: trials and presets in one form."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nas.metrics import Metric, holds
from nas.report.snapshot import FINAL, LATER, MEASURED, PREDICTED, Snapshot, metric_names
from nas.store import Preset, TrialRow
from nas.store.records import SEARCH


@dataclass(frozen=True)
class Candidate:
    """One architecture.

    Attributes:
        name: `"trial 12"`, or a preset's name.
        number: of its trial, None for a preset.
        metrics: of the search, or all that a preset has.
        final: those taken again at the end of the run.
        later: those taken after the run, by stage: `retrained`, `measured`, and `predicted` for a device that was
            not searched for.
        cheaper: number of a cheaper trial whose accuracy interval overlaps this one's.
    """

    name: str
    number: int | None
    arch_id: str
    arch: Mapping[str, Any]
    metrics: Mapping[str, Metric]
    final: Mapping[str, Metric] = field(default_factory=dict)
    cheaper: int | None = None
    later: Mapping[str, Mapping[str, Metric]] = field(default_factory=dict)

    def at(self, stage: str) -> Mapping[str, Metric]:
        """Metrics of one stage, by name."""
        known = {SEARCH: self.metrics, FINAL: self.final, **self.later}
        return known.get(stage, {})

    def predicted(self, name: str) -> Metric | None:
        """The prediction that a measured metric is compared with."""
        return self.metrics.get(name) or self.at(PREDICTED).get(name)

    def missed(self, name: str) -> bool:
        """Whether a measured metric lies outside the interval that was predicted for it."""
        measured, predicted = self.at(MEASURED).get(name), self.predicted(name)
        return measured is not None and predicted is not None and not holds(predicted, measured)


def of_front(snapshot: Snapshot) -> list[Candidate]:
    """The members of the front, by trial number."""
    marked = snapshot.facts.get("marked", {})
    return [_of_trial(trial, marked.get(str(trial.number))) for trial in snapshot.front]


def of_presets(snapshot: Snapshot) -> list[Candidate]:
    """The study's reference architectures, by name."""
    return [_of_preset(preset) for preset in snapshot.presets]


def of_rows(snapshot: Snapshot, rows: Sequence[int]) -> list[Candidate]:
    """The trials in these rows of the snapshot's frame, with their metrics of the search."""
    trials = snapshot.trials
    names = metric_names(trials)
    records = trials.iloc[list(rows)].to_dict("records")
    return [_of_record(record, names, snapshot.units) for record in records]


def _of_trial(trial: TrialRow, cheaper: Any) -> Candidate:
    return Candidate(
        f"trial {trial.number}",
        trial.number,
        trial.arch_id,
        trial.arch,
        trial.metrics,
        trial.at(FINAL),
        None if cheaper is None else int(cheaper),
        {stage: found for stage in LATER if (found := trial.at(stage))},
    )


def _of_preset(preset: Preset) -> Candidate:
    return Candidate(preset.name, None, preset.arch_id, preset.arch, preset.metrics)


def _of_record(record: Mapping[str, Any], names: Sequence[str], units: Mapping[str, str]) -> Candidate:
    metrics = {
        name: Metric(
            float(record[name]),
            units.get(name, ""),
            record[f"{name}.provenance"],
            _bound(record.get(f"{name}.low")),
            _bound(record.get(f"{name}.high")),
        )
        for name in names
        if not _missing(record[name])
    }
    arch = {
        key.removeprefix("arch."): _plain(value)
        for key, value in record.items()
        if key.startswith("arch.") and not _missing(value)
    }
    number = int(record["number"])
    return Candidate(f"trial {number}", number, str(record["arch_id"]), arch, metrics)


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _bound(value: Any) -> float | None:
    return None if _missing(value) else float(value)


def _plain(value: Any) -> Any:
    """Whole numbers stay whole where pandas made the column float because others are missing."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
