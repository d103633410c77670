"""The front in the storage is the brute-force front of what was stored, at every generation."""

from __future__ import annotations

import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, text
from store_samples import OBJECTIVES, new_study, numbers, trial

from nas.metrics import Metric
from nas.store import Storage, TrialRecord

RELAXED = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
LEVELS = st.sampled_from([None, math.nan, 0.0, 1.0, 2.0, 3.0, 4.0])


@st.composite
def records(draw, most: int = 30):
    """Trials in the order of their generations, with ties, gaps, failures and violations."""
    made, generation = [], 0
    for index in range(draw(st.integers(0, most))):
        generation += draw(st.sampled_from([0, 0, 0, 1, 2]))
        state = draw(st.sampled_from(["complete"] * 6 + ["failed", "infeasible"]))
        violation = draw(st.sampled_from([0.0] * 5 + [0.5]))
        values = draw(LEVELS), draw(LEVELS)
        made.append(trial(index, *values, generation=generation, state=state, violation=violation))
    return made


def brute_front(given) -> set[str]:
    """Ids of the trials that no other one dominates: more accuracy, less latency."""

    def values(record):
        found = [record.metrics[name].value for name in ("accuracy", "latency") if name in record.metrics]
        able = record.state == "complete" and record.violation == 0 and len(found) == 2
        return (-found[0], found[1]) if able and not any(map(math.isnan, found)) else None

    able = {record.arch_id: values(record) for record in given if values(record)}
    return {
        key
        for key, mine in able.items()
        if not any(other != mine and other[0] <= mine[0] and other[1] <= mine[1] for other in able.values())
    }


def ids(rows) -> set[str]:
    return {row.arch_id for row in rows}


@RELAXED
@given(given_records=records(), data=st.data())
def test_the_front_is_the_brute_force_front(storage, given_records, data):
    study = new_study(storage)
    rest = given_records
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        storage.add_trials(study.id, rest[:size])
        rest = rest[size:]
    assert ids(storage.front(study.id)) == brute_front(given_records)


@RELAXED
@given(given_records=records())
def test_the_front_of_every_generation_can_be_read_later(storage, given_records):
    study = new_study(storage)
    generations = sorted({record.generation for record in given_records})
    for generation in generations:
        storage.add_trials(study.id, [r for r in given_records if r.generation == generation])
    for generation in range(-1, max(generations, default=0) + 2):
        seen = [record for record in given_records if record.generation <= generation]
        assert ids(storage.front(study.id, generation=generation)) == brute_front(seen)


@RELAXED
@given(given_records=records(), random=st.randoms(use_true_random=False), data=st.data())
def test_neither_order_nor_batches_matter(storage, given_records, random, data):
    shuffled = list(given_records)
    random.shuffle(shuffled)
    study = new_study(storage)
    size = data.draw(st.integers(1, 10))
    for start in range(0, len(shuffled), size):
        storage.add_trials(study.id, shuffled[start : start + size])
    assert ids(storage.front(study.id)) == brute_front(given_records)


@RELAXED
@given(given_records=records())
def test_trials_that_finish_late_compete_then(storage, given_records):
    study = new_study(storage)
    reserved = [TrialRecord(r.arch_id, r.arch, r.generation, state="running") for r in given_records]
    storage.add_trials(study.id, reserved)
    assert storage.front(study.id) == []
    for record in reversed(given_records):
        storage.add_trials(study.id, [record])
    assert ids(storage.front(study.id)) == brute_front(given_records)


@RELAXED
@given(given_records=records())
def test_another_writer_or_a_restart_changes_nothing(url, given_records):
    """Two storages take turns, so that neither may rely on the front it remembers."""
    one, two = Storage(url), Storage(url)
    study = new_study(one)
    for turn, record in enumerate(given_records):
        (one, two)[turn % 2].add_trials(study.id, [record])
    assert ids(one.front(study.id)) == ids(two.front(study.id)) == brute_front(given_records)
    one.close()
    two.close()


@pytest.mark.parametrize("count", [1, 3])
def test_any_number_of_objectives(storage, count):
    names = ["accuracy", "latency", "macs"][:count]
    objectives = [o for o in OBJECTIVES if o.name in names] + (
        [type(OBJECTIVES[0])("macs", "min")] * (count > 2)
    )
    study = new_study(storage, objectives=objectives)
    rows = [(0.5, 10.0, 5.0), (0.5, 11.0, 4.0), (0.4, 12.0, 6.0), (0.6, 20.0, 9.0)]
    batch = [
        TrialRecord(str(i), {}, 0, metrics={n: Metric(v, "", "table") for n, v in zip(names, row)})
        for i, row in enumerate(rows)
    ]
    storage.add_trials(study.id, batch)
    assert numbers(storage.front(study.id)) == ([3] if count == 1 else [0, 1, 3])


def test_generations_are_recorded_with_their_hypervolume(storage):
    study = new_study(storage)
    storage.add_trials(study.id, [trial("a", 0.5, 10.0)])
    storage.record_front(study.id, 0, wall_s=1.5)
    storage.set_reference_point(study.id, {"accuracy": 0.0, "latency": 20.0})
    storage.add_trials(
        study.id, [trial("b", 0.25, 5.0, generation=1), trial("c", generation=1, state="failed")]
    )
    storage.record_front(study.id, 1, wall_s=2.5)
    storage.add_trials(study.id, [trial("d", 0.5, 5.0, generation=2)])
    made = storage.record_front(study.id, 2, wall_s=3.5)
    history = storage.hypervolume_history(study.id)
    assert [row.generation for row in history] == [0, 1, 2]
    assert [row.n_evaluations for row in history] == [1, 2, 3]
    assert [row.front_size for row in history] == [1, 2, 1]
    assert [row.wall_s for row in history] == [1.5, 2.5, 3.5]
    assert [row.hypervolume for row in history] == [None, pytest.approx(6.25), pytest.approx(7.5)]
    assert made == history[-1]
    storage.record_front(study.id, 2, wall_s=4.0)
    assert [row.wall_s for row in storage.hypervolume_history(study.id)] == [1.5, 2.5, 4.0]


def test_reading_a_front_never_scans_trials_or_metrics(tmp_path):
    """What keeps it fast at a million trials: every step of both queries is a search by an index."""
    storage = Storage(f"sqlite:///{tmp_path / 'nas.db'}")
    study = new_study(storage)
    storage.add_trials(study.id, [trial(i, i / 50, float(i)) for i in range(50)])
    queries = []
    event.listen(
        storage._reader, "before_cursor_execute", lambda *given: queries.append((given[2], given[3]))
    )
    storage.front(study.id)
    storage.front(study.id, generation=0)
    storage.trials(study.id, since=1)
    selects = [query for query in queries if query[0].startswith("SELECT")]
    assert len(selects) >= 6
    with storage._reader.connect() as connection:
        for query, values in selects:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", values).all()
            assert not [row.detail for row in plan if row.detail.startswith("SCAN")]
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
