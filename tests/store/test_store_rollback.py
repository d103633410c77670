"""Going back to a revision and repeating what was lost ends where an uninterrupted run ends."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_samples import dump, new_study, numbers, trial

from nas.errors import NasError
from nas.metrics import Metric
from nas.store import Artefact, SeriesPoint, Storage, TrialRecord

VALUES = st.sampled_from([0.0, 1.0, 2.0, 3.0, 4.0])


@st.composite
def commits(draw):
    """What a run does: a list of (method, arguments) with trials reserved, finished or added."""
    made, serial, generation = [], 0, 0
    running: list[TrialRecord] = []
    for _ in range(draw(st.integers(0, 10))):
        action = draw(st.sampled_from(["trials", "trials", "trials", "front", "series"]))
        if action == "trials":
            batch = []
            for _ in range(draw(st.integers(0, 5))):
                state = draw(st.sampled_from(["complete", "complete", "running", "failed"]))
                values = (None, None) if state == "running" else (draw(VALUES), draw(VALUES))
                batch.append(trial(serial, *values, generation=generation, state=state))
                serial += 1
            if running and draw(st.booleans()):
                old = running.pop()
                key = old.arch_id.removeprefix("arch-")
                batch.append(trial(key, draw(VALUES), draw(VALUES), generation=old.generation, wall_s=1.0))
            running += [record for record in batch if record.state == "running"]
            made.append(("add_trials", (batch,)))
        elif action == "front":
            made.append(("record_front", (generation,)))
            generation += draw(st.integers(1, 2))
        else:
            made.append(("add_series", ([SeriesPoint("loss", len(made), {"value": draw(VALUES)})],)))
    return made


def perform(storage: Storage, study, actions) -> None:
    for method, arguments in actions:
        getattr(storage, method)(study.id, *arguments)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(actions=commits(), data=st.data())
def test_a_rollback_restores_and_a_repeat_ends_the_same(storage, actions, data):
    study = new_study(storage)
    states = [dump(storage, study)]
    for action in actions:
        perform(storage, study, [action])
        states.append(dump(storage, study))
    first = data.draw(st.integers(0, len(actions)))
    storage.rollback_to(study.id, first)
    assert dump(storage, study) == states[first]
    perform(storage, study, actions[first : data.draw(st.integers(first, len(actions)))])
    second = data.draw(st.integers(0, first))
    storage.rollback_to(study.id, second)
    assert dump(storage, study) == states[second]
    perform(storage, study, actions[second:])
    assert dump(storage, study) == states[-1]


def test_revisions_never_repeat_and_followers_are_told(storage):
    study = new_study(storage)
    storage.add_trials(study.id, [trial(0, 0.5, 5.0)])
    storage.add_trials(study.id, [trial(1, 0.6, 4.0)])
    storage.rollback_to(study.id, 1)
    found = storage.study(study.name)
    assert (found.revision, found.epoch, found.n_trials) == (3, 1, 1)
    storage.add_trials(study.id, [trial(2, 0.7, 3.0)])
    storage.rollback_to(study.id, 1)
    assert numbers(storage.trials(study.id)) == numbers(storage.front(study.id)) == [0]
    assert storage.study(study.name).epoch == 2


def test_what_is_not_the_search_is_kept(storage):
    study = new_study(storage)
    storage.add_trials(study.id, [trial(0, 0.5, 5.0)])
    final = {"accuracy": Metric(0.45, "fraction", "measured")}
    storage.add_metrics(study.id, "final", {0: final})
    storage.add_artefact(study.id, Artefact("report.html", "report", "0" * 64))
    storage.add_facts(study.id, {"seed": 0})
    storage.rollback_to(study.id, 1)
    assert storage.trials(study.id)[0].at("final") == final
    assert [artefact.path for artefact in storage.artefacts(study.id)] == ["report.html"]
    assert storage.study(study.name).facts == {"seed": 0}


def test_other_studies_are_not_touched(storage):
    one, other = new_study(storage), new_study(storage)
    for study in (one, other):
        storage.add_trials(study.id, [trial(0, 0.5, 5.0)])
        storage.add_series(study.id, [SeriesPoint("loss", 0, {"value": 1.0})])
        storage.record_front(study.id, 0)
    before = dump(storage, other)
    storage.rollback_to(one.id, 0)
    assert dump(storage, other) == before
    assert storage.trials(one.id) == []


def test_a_revision_that_was_not_reached_is_refused(storage):
    study = new_study(storage)
    storage.add_trials(study.id, [trial(0)])
    with pytest.raises(NasError, match="is at revision 1; it cannot go back to 2"):
        storage.rollback_to(study.id, 2)
    with pytest.raises(NasError, match="cannot go back to -1"):
        storage.rollback_to(study.id, -1)
    assert storage.study(study.name).revision == 1
