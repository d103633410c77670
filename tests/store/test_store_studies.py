"""Studies: what they keep, and what is refused."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_samples import OBJECTIVES, new_study

from nas.errors import NasError
from nas.store import Objective, Storage, check_resumable

ODD = [
    "<script>alert(1)</script>",
    "naïve 🦾 研究",
    'it\'s "quoted"; DROP TABLE studies;--',
    "%s {x} \\n",
    "a/b",
]


def test_a_study_comes_back_as_it_was_stored(storage):
    before = datetime.now(UTC)
    made = storage.create_study(
        "first",
        space="elasticvit",
        space_hash="f00",
        objectives=OBJECTIVES,
        config={"steps": np.int64(3), "range": (1, 2), "out": Path("a/b"), "weights": np.array([0.5])},
        constraints=[{"metric": "latency", "at_most": 20.0}],
        facts={"seed": 0},
    )
    found = storage.study("first")
    assert found == made
    assert found.config == {"steps": 3, "range": [1, 2], "out": "a/b", "weights": [0.5]}
    assert found.objectives == OBJECTIVES
    assert found.directions == ("max", "min")
    assert found.constraints == [{"metric": "latency", "at_most": 20.0}]
    assert (found.state, found.n_trials, found.generation, found.revision) == ("running", 0, -1, 0)
    assert before <= found.created <= datetime.now(UTC)
    assert (found.space, found.space_hash, found.facts) == ("elasticvit", "f00", {"seed": 0})


@pytest.mark.parametrize("name", ODD)
def test_odd_names_survive(storage, name):
    study = new_study(storage, name, config={name: name})
    assert storage.study(name).id == study.id
    assert [row.name for row in storage.studies()] == [name]
    assert storage.study(name).config == {name: name}


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(), number=st.floats())
def test_any_text_and_number_survives_in_facts(storage, text, number):
    study = new_study(storage)
    storage.add_facts(study.id, {text: [text, number]})
    (found,) = storage.study(study.name).facts.items()
    assert found[0] == found[1][0] == text
    assert found[1][1] == number or (math.isnan(number) and math.isnan(found[1][1]))


def test_facts_are_added_and_replaced(storage):
    study = new_study(storage, facts={"seed": 1, "threads": 2})
    storage.add_facts(study.id, {"threads": 1, "rank": 0.8})
    assert storage.study(study.name).facts == {"seed": 1, "threads": 1, "rank": 0.8}


def test_what_is_no_plain_data_is_refused(storage):
    with pytest.raises(NasError, match="plain data can be stored, not a set"):
        new_study(storage, "x", config={"a": {1, 2}})
    assert storage.studies() == []


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "nul\0", "lone \ud800", "x" * 201])
def test_impossible_names_are_refused(storage, name):
    with pytest.raises(NasError, match="printable"):
        new_study(storage, name)


def test_a_taken_name_is_refused_with_both_ways_out(storage):
    study = new_study(storage, "mine")
    with pytest.raises(NasError, match=r"'mine' exists already: --resume .*--study-name OTHER"):
        new_study(storage, "mine")
    assert [row.id for row in storage.studies()] == [study.id]


def test_an_unknown_study_is_told_with_the_likely_one(storage):
    new_study(storage, "pixel6-digits")
    with pytest.raises(NasError, match="Did you mean 'pixel6-digits'"):
        storage.study("pixel6-digit")
    with pytest.raises(NasError, match="no study with the id 99"):
        storage.set_state(99, "finished")


@pytest.mark.parametrize("objectives", [(), (Objective("a", "min"), Objective("a", "max"))])
def test_objectives_must_be_there_and_differ(storage, objectives):
    with pytest.raises(NasError, match="objectives"):
        new_study(storage, objectives=objectives)


def test_states_are_set_and_counted_as_commits(storage):
    study = new_study(storage)
    storage.set_state(study.id, "finished")
    found = storage.study(study.name)
    assert (found.state, found.revision) == ("finished", 1)
    assert found.updated >= study.updated
    with pytest.raises(NasError, match="Did you mean 'finished'"):
        storage.set_state(study.id, "finish")
    assert storage.study(study.name).revision == 1


def test_a_reference_point_is_set_once(storage):
    study = new_study(storage)
    storage.set_reference_point(study.id, {"latency": 30, "accuracy": 0.1})
    storage.set_reference_point(study.id, {"accuracy": 0.1, "latency": 30.0})
    assert storage.study(study.name).reference_point == {"accuracy": 0.1, "latency": 30.0}
    with pytest.raises(NasError, match="keeps its first one"):
        storage.set_reference_point(study.id, {"latency": 31, "accuracy": 0.1})
    with pytest.raises(NasError, match="each of accuracy, latency"):
        storage.set_reference_point(new_study(storage).id, {"latency": 30})


def test_resuming_compares_space_and_configuration():
    storage = Storage("sqlite://")
    config = {"steps": 5, "data": {"name": "digits", "size": (28, 28)}, "seed": 0, "rate": math.nan}
    study = new_study(storage, "s", config=config)
    check_resumable(study, space_hash="abc", config=config)
    changed = {"steps": 6, "data": {"name": "digits", "size": (32, 28)}, "rate": math.nan, "extra": None}
    with pytest.raises(NasError) as caught:
        check_resumable(study, space_hash="abd", config=changed)
    assert str(caught.value).splitlines()[1:-1] == [
        "  space: began with abc, now abd",
        "  steps: began with 5, now 6",
        "  data.size: began with [28, 28], now [32, 28]",
        "  seed: began with 0, now not set",
        "  extra: began without it, now None",
    ]
