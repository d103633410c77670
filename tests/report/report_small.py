"""Studies of a few trials whose every number a test writes down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nas.metrics import Metric, Provenance
from nas.report.snapshot import Snapshot, read_snapshot
from nas.store import Objective, Storage, TrialRecord

ACCURACY = Objective("accuracy", "max", "fraction")
LATENCY = Objective("latency", "min", "ms")
SPLIT = "digits search split, inherited weights"


def trial(
    index: int,
    accuracy: float | None,
    latency: float,
    *,
    state: str = "complete",
    violation: float = 0.0,
    provenance: Provenance = "predicted",
    arch: Mapping[str, Any] | None = None,
    generation: int = 0,
    **more: Metric,
) -> TrialRecord:
    """A trial with an accuracy ± 0.02 and a latency ± 5 %."""
    metrics = {"latency": Metric(latency, "ms", provenance, 0.95 * latency, 1.05 * latency, "pixel6"), **more}
    if accuracy is not None:
        metrics["accuracy"] = Metric(
            accuracy, "fraction", "measured", accuracy - 0.02, accuracy + 0.02, SPLIT
        )
    return TrialRecord(
        f"{index:016x}",
        arch or {"depth": index},
        generation,
        state,
        metrics,
        0.1,
        violation,  # type: ignore[arg-type]
    )


def study(
    trials: Sequence[TrialRecord],
    *,
    objectives: Sequence[Objective] = (ACCURACY, LATENCY),
    facts: Mapping[str, Any] | None = None,
    constraints: Sequence[Mapping[str, Any]] = (),
    name: str = "small",
) -> tuple[Storage, int]:
    """A storage in memory with a study of these trials."""
    storage = Storage("sqlite://")
    row = storage.create_study(
        name,
        space="toy",
        space_hash="0" * 16,
        objectives=objectives,
        config={"devices": ["pixel6"]},
        constraints=constraints,
        facts=facts,
    )
    storage.add_trials(row.id, trials)
    return storage, row.id


def snapshot_of(trials: Sequence[TrialRecord], **rest: Any) -> Snapshot:
    """The snapshot of a study of these trials."""
    storage, _ = study(trials, **rest)
    return read_snapshot(storage, rest.get("name", "small"))
