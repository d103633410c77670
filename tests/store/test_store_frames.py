"""DataFrames of trials and fronts."""

from __future__ import annotations

import math

import numpy as np
import pytest
from store_samples import new_study, trial

from nas.metrics import Metric
from nas.store import TrialRecord, frames


@pytest.fixture
def study(storage):
    """Three trials: measured with an interval, from a table, failed."""
    made = new_study(storage)
    first = {
        "accuracy": Metric(0.7, "fraction", "measured", 0.68, 0.72),
        "latency": Metric(10.0, "ms", "predicted", 9.0, 11.0),
    }
    second = {"accuracy": Metric(0.6, "fraction", "measured"), "latency": Metric(5.0, "ms", "table")}
    storage.add_trials(
        made.id,
        [
            TrialRecord("a", {"width": 16, "act": "silu"}, 0, metrics=first, wall_s=0.5),
            TrialRecord("b", {"width": 24, "act": "gelu"}, 1, metrics=second),
            TrialRecord("c", {"width": 32, "act": "relu"}, 1, state="failed"),
        ],
    )
    return made


def test_a_frame_has_a_column_for_each_metric_and_decision(storage, study):
    frame = storage.trials_frame(study.id)
    assert list(frame.columns) == [
        *("number", "arch_id", "generation", "state", "violation", "wall_s", "revision"),
        *("accuracy", "accuracy.provenance", "accuracy.low", "accuracy.high"),
        *("latency", "latency.provenance", "latency.low", "latency.high"),
        *("arch.width", "arch.act"),
    ]
    assert frame["number"].tolist() == [0, 1, 2]
    assert frame["arch_id"].tolist() == ["a", "b", "c"]
    assert frame["state"].tolist() == ["complete", "complete", "failed"]
    assert np.array_equal(frame["accuracy"], [0.7, 0.6, np.nan], equal_nan=True)
    assert np.array_equal(frame["accuracy.low"], [0.68, np.nan, np.nan], equal_nan=True)
    assert np.array_equal(frame["wall_s"], [0.5, np.nan, np.nan], equal_nan=True)
    assert frame["latency.provenance"].tolist()[:2] == ["predicted", "table"]
    assert frame["latency.provenance"].isna().tolist() == [False, False, True]
    assert frame["arch.width"].tolist() == [16, 24, 32]
    assert frame["arch.act"].tolist() == ["silu", "gelu", "relu"]


def test_later_stages_have_their_own_columns(storage, study):
    storage.add_metrics(study.id, "final", {0: {"accuracy": Metric(0.65, "fraction", "measured")}})
    storage.add_metrics(study.id, "device", {0: {"latency": Metric(12.0, "ms", "measured")}})
    storage.add_metrics(study.id, "device", {1: {"latency": Metric(6.0, "ms", "predicted")}})
    frame = storage.trials_frame(study.id)
    assert np.array_equal(frame["final.accuracy"], [0.65, np.nan, np.nan], equal_nan=True)
    assert np.array_equal(frame["device.latency[measured]"], [12.0, np.nan, np.nan], equal_nan=True)
    assert np.array_equal(frame["device.latency[predicted]"], [np.nan, 6.0, np.nan], equal_nan=True)
    assert np.array_equal(frame["accuracy"], [0.7, 0.6, np.nan], equal_nan=True)


def test_a_frame_holds_what_the_rows_hold(storage):
    study = new_study(storage)
    batch = [trial(i, i / 7 % 1, float(i % 5), generation=i // 100) for i in range(300)]
    for start in range(0, 300, 70):
        storage.add_trials(study.id, batch[start : start + 70])
    since = storage.study(study.name).revision - 2
    for frame, rows in [
        (storage.trials_frame(study.id), storage.trials(study.id)),
        (storage.trials_frame(study.id, since=since), storage.trials(study.id, since=since)),
        (storage.front_frame(study.id), storage.front(study.id)),
        (storage.front_frame(study.id, generation=1), storage.front(study.id, generation=1)),
    ]:
        assert len(frame) == len(rows) > 0
        for name in ("number", "arch_id", "generation", "revision"):
            assert frame[name].tolist() == [getattr(row, name) for row in rows]
        for name in ("accuracy", "latency"):
            assert frame[name].tolist() == [row.metrics[name].value for row in rows]
        assert frame["arch.key"].tolist() == [row.arch["key"] for row in rows]


def test_an_empty_study_is_an_empty_frame(storage):
    frame = storage.trials_frame(new_study(storage).id)
    assert len(frame) == 0
    assert "number" in frame.columns


def test_architectures_with_other_decisions_leave_gaps(storage, monkeypatch):
    monkeypatch.setattr(frames, "_PART", 2)
    study = new_study(storage)
    archs = [{"a": 1}, {"a": 2}, {"b": 3}, {"a": 4, "b": 5}, {}, {"c": None}]
    storage.add_trials(study.id, [TrialRecord(str(i), arch, 0) for i, arch in enumerate(archs)])
    frame = storage.trials_frame(study.id)
    for name in "ab":
        found = [None if isinstance(v, float) and math.isnan(v) else v for v in frame[f"arch.{name}"]]
        assert found == [arch.get(name) for arch in archs]
    assert frame["arch.c"].isna().all()
