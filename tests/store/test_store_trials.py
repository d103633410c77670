"""Trials and their metrics: stored in batches, read whole or as they change."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest
from sqlalchemy import event
from store_samples import new_study, numbers, trial

from nas.errors import NasError
from nas.metrics import Metric
from nas.store import SeriesPoint, TrialRecord


def test_a_trial_comes_back_as_it_was_stored(storage):
    study = new_study(storage)
    metrics = {
        "accuracy": Metric(0.7, "fraction", "measured", 0.68, 0.72, "digits, search split"),
        "latency": Metric(12.5, "ms", "predicted", 11.0, 14.0, "pixel6"),
        "macs": Metric(62_915_120.0, "MACs", "counted"),
    }
    arch = {"stages.1.width": 16, "act": "silu", "ratio": 0.5, "se": True, "none": None, "<b>'é": [1, "2"]}
    before = datetime.now(UTC)
    storage.add_trials(study.id, [TrialRecord("0123456789abcdef", arch, 3, metrics=metrics, wall_s=1.5)])
    (row,) = storage.trials(study.id)
    assert row.metrics == metrics
    assert row.arch == arch
    assert (row.number, row.arch_id, row.generation, row.state) == (0, "0123456789abcdef", 3, "complete")
    assert (row.wall_s, row.violation, row.revision) == (1.5, 0.0, 1)
    assert before <= row.created == row.finished <= datetime.now(UTC)


def test_details_that_differ_from_trial_to_trial_are_kept(storage):
    study = new_study(storage)
    details = ["whole", "2 of 9 units estimated", "", "whole"]
    records = [
        TrialRecord(str(i), {}, 0, metrics={"latency": Metric(float(i), "ms", "table", detail=detail)})
        for i, detail in enumerate(details)
    ]
    storage.add_trials(study.id, records)
    assert [row.metrics["latency"].detail for row in storage.trials(study.id)] == details


def test_numbers_count_up_within_each_study(storage):
    one, other = new_study(storage), new_study(storage)
    assert storage.add_trials(one.id, [trial(0), trial(1)]).tolist() == [0, 1]
    assert storage.add_trials(other.id, [trial(0)]).tolist() == [0]
    assert storage.add_trials(one.id, [trial(2)]).tolist() == [2]
    assert storage.add_trials(one.id, []).tolist() == []
    assert numbers(storage.trials(one.id)) == [0, 1, 2]
    assert (storage.study(one.name).n_trials, storage.study(other.name).n_trials) == (3, 1)


def test_an_architecture_is_never_stored_twice(storage):
    study = new_study(storage)
    storage.add_trials(study.id, [trial("a", 0.5, 10.0), trial("b", 0.6, 12.0)])
    again = [trial("b", 0.9, 1.0), trial("c", 0.7, 20.0), trial("c", 0.1, 30.0), trial("a", 0.0, 0.0)]
    assert storage.add_trials(study.id, again).tolist() == [1, 2, 2, 0]
    assert [row.metrics["accuracy"].value for row in storage.trials(study.id)] == [0.5, 0.6, 0.7]
    assert storage.study(study.name).n_complete == 3


def test_a_running_trial_is_finished_by_its_next_record(storage):
    study = new_study(storage)
    storage.add_trials(study.id, [trial("a", state="running"), trial("b", 0.1, 9.0)])
    storage.add_trials(study.id, [trial("a", state="running")])
    running = storage.trials(study.id)[0]
    assert (running.state, running.finished, running.revision) == ("running", None, 1)
    assert numbers(storage.front(study.id)) == [1]
    storage.add_trials(study.id, [trial("a", 0.9, 5.0, wall_s=2.0, generation=7)])
    done = storage.trials(study.id)[0]
    assert (done.number, done.state, done.wall_s, done.generation) == (0, "complete", 2.0, 0)
    assert done.finished >= done.created
    assert numbers(storage.front(study.id)) == [0]
    found = storage.study(study.name)
    assert (found.n_trials, found.n_complete, found.generation) == (2, 2, 0)


def test_readers_follow_what_was_added_or_changed(storage):
    study = new_study(storage)
    storage.add_trials(study.id, [trial(0, state="running"), trial(1)])
    seen = storage.study(study.name).revision
    assert storage.trials(study.id, since=seen) == []
    storage.add_trials(study.id, [trial(2), trial(0, 0.5, 5.0)])
    assert numbers(storage.trials(study.id, since=seen)) == [0, 2]
    seen = storage.study(study.name).revision
    storage.add_metrics(study.id, "final", {1: {"accuracy": Metric(0.4, "fraction", "measured")}})
    assert numbers(storage.trials(study.id, since=seen)) == [1]
    seen = storage.study(study.name).revision
    storage.add_series(study.id, [SeriesPoint("loss", 0, {"value": 1.0})])
    assert storage.study(study.name).revision > seen
    assert storage.trials(study.id, since=seen) == []


def test_metrics_of_later_stages_stand_beside_those_of_the_search(storage):
    study = new_study(storage)
    storage.add_trials(study.id, [trial(0, 0.5, 10.0), trial(1, 0.6, 20.0)])
    measured = Metric(11.0, "ms", "measured", 10.5, 11.5, "pixel6, XNNPACK")
    storage.add_metrics(study.id, "final", {0: {"latency": Metric(10.2, "ms", "table")}})
    storage.add_metrics(study.id, "final", {0: {"latency": measured}, 1: {"latency": measured}})
    storage.add_metrics(study.id, "final", {1: {"latency": Metric(21.0, "ms", "measured", detail="again")}})
    first, second = storage.trials(study.id)
    assert first.metrics["latency"].value == 10.0
    assert first.at("final") == {"latency": measured}
    assert len(first.stored) == 4
    assert second.at("final") == {"latency": Metric(21.0, "ms", "measured", detail="again")}
    assert numbers(storage.front(study.id)) == [0, 1]


def test_metrics_need_a_trial_and_a_later_stage(storage):
    study = new_study(storage)
    storage.add_trials(study.id, [trial(0)])
    metric = {"accuracy": Metric(0.5, "fraction", "measured")}
    with pytest.raises(NasError, match="has no trial 1"):
        storage.add_metrics(study.id, "final", {0: metric, 1: metric})
    with pytest.raises(NasError, match="another stage"):
        storage.add_metrics(study.id, "search", {0: metric})
    assert storage.trials(study.id)[0].stored == ()


@pytest.mark.parametrize(
    ("record", "told"),
    [
        (trial("x", state="done"), "state 'done'"),
        (trial("x", 0.5, state="running"), "no metrics yet"),
        (TrialRecord("x", {}, 0, metrics={"latency": Metric(1.0, "us", "table")}), "'ms' here, not in 'us'"),
        (TrialRecord("x", {}, 0, metrics={"latency": Metric(1.0, "us", "predicted")}), "not in 'us'"),
        (TrialRecord("x", {}, 0, metrics={"state": Metric(1.0, "ms", "table")}), "named 'state'"),
        (TrialRecord("x", {}, 0, metrics={"a": Metric(1.0, "ms", "guess")}), "'guess'"),
    ],
)
def test_a_batch_with_a_wrong_record_is_refused_whole(storage, record, told):
    study = new_study(storage)
    storage.add_trials(study.id, [trial("a", 0.5, 10.0)])
    with pytest.raises(NasError, match=told):
        storage.add_trials(study.id, [trial("b", 0.9, 1.0), record])
    assert numbers(storage.trials(study.id)) == numbers(storage.front(study.id)) == [0]
    assert storage.add_trials(study.id, [trial("c", 0.9, 1.0)]).tolist() == [1]
    assert numbers(storage.front(study.id)) == [1]


def test_numbers_that_are_none_survive(storage):
    study = new_study(storage)
    records = [
        trial(0, math.nan, math.inf),
        trial(1, -math.inf, 1.0, violation=math.nan),
        trial(2, violation=-1.0),
    ]
    storage.add_trials(study.id, records)
    first, second, third = storage.trials(study.id)
    assert math.isnan(first.metrics["accuracy"].value)
    assert first.metrics["latency"].value == math.inf
    assert second.metrics["accuracy"].value == -math.inf
    assert (second.violation, third.violation) == (math.inf, 0.0)


def test_a_batch_is_one_commit(storage):
    study = new_study(storage)
    commits = []
    event.listen(storage._writer, "commit", lambda connection: commits.append(connection))
    storage.add_trials(study.id, [trial(i, i / 100, float(i)) for i in range(100)])
    assert len(commits) == 1
