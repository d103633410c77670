"""Studies of a few trials whose every number a test writes down."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nas.metrics import Metric
from nas.store import Objective, Preset, SeriesPoint, Storage, TrialRecord
from nas.store.records import TrialState

SPACE = Path(__file__).parents[1] / "pipeline" / "small.yaml"
NAME = "<script>alert(1)</script>"
ACCURACY = Objective("accuracy", "max", "fraction")
LATENCY = Objective("latency", "min", "ms")
HARM = "T1.<img src=x onerror=alert(1)>"
SPLIT = "digits search split, inherited weights"


def record(
    index: int, accuracy: float | None, latency: float, state: TrialState = "complete", **arch: Any
) -> TrialRecord:
    """A trial with an accuracy ± 0.02 and an exact latency."""
    metrics = {} if state == "running" else {"latency": Metric(latency, "ms", "table", detail="toy")}
    if accuracy is not None:
        low, high = accuracy - 0.02, accuracy + 0.02
        metrics["accuracy"] = Metric(accuracy, "fraction", "measured", low, high, SPLIT)
    violation = 0.5 if state == "infeasible" else 0.0
    return TrialRecord(f"{index:016x}", arch or {"T1.depth": index}, index, state, metrics, 0.1, violation)


def make(storage: Storage, name: str = "small", *, facts: Mapping[str, Any] | None = None) -> int:
    """An empty study; its id."""
    row = storage.create_study(
        name,
        space="toy",
        space_hash="0" * 12,
        objectives=[ACCURACY, LATENCY],
        config={"devices": []},
        facts=facts,
    )
    storage.set_reference_point(row.id, {"accuracy": 0.0, "latency": 10.0})
    return row.id


def five(storage: Storage) -> int:
    """Trials 0, 1, 3 on the front, 2 dominated, 4 infeasible; one preset."""
    study = make(storage)
    storage.add_trials(
        study,
        [
            record(0, 0.50, 1.0, **{"kind": "conv", "T1.depth": 1, "T1.width": 16}),
            record(1, 0.60, 2.0, **{"kind": "attention", "T1.depth": 10, "T1.width": 16}),
            record(2, 0.55, 3.0, **{"kind": "attention", "T1.depth": 2}),
            record(3, 0.80, 4.0, **{"kind": "conv", "T1.depth": 2, "T1.width": 32}),
            record(4, 0.90, 9.0, "infeasible", **{"kind": "conv", "T1.depth": 10, "T1.width": 32}),
        ],
    )
    metrics = {
        "accuracy": Metric(0.7, "fraction", "measured", 0.65, 0.75, SPLIT),
        "latency": Metric(3.5, "ms", "table", detail="toy"),
    }
    storage.set_presets(study, [Preset("P", "f" * 16, {"T1.depth": 1}, metrics)])
    storage.record_front(study, 0, wall_s=1.0)
    storage.add_series(
        study,
        [SeriesPoint("predictor", number, {"predicted": 0.5, "evaluated": 0.6}) for number in range(2)],
    )
    return study


def learned(evaluated: int, *, skill: float | None) -> dict[str, Any]:
    """A round of a generative search over two decisions, one with a name that means harm."""

    def decision(now: float, effect: float) -> dict[str, Any]:
        effects = None if skill is None else [-effect, effect]
        shares = {"start": [0.5, 0.5], "now": [1 - now, now]}
        return {"values": [1, 2], **shares, "moved": abs(now - 0.5), "effects": effects}

    concluded = {} if skill is None else {"skill": skill, "responses": {"T1.rank": 0.5}}
    return {
        **concluded,
        "probed": 2 * evaluated,
        "evaluated": evaluated,
        "utility": "netscore",
        "best": 60.0 + evaluated,
        "arch_id": "0" * 16,
        "feasible": 0.25,
        "decisions": {"T1.depth": decision(0.6, 1.0), HARM: decision(0.9, 3.0)},
    }


def opened(folder: Path) -> Storage:
    """A new storage in a folder."""
    return Storage(f"sqlite:///{folder}/nas.db")
