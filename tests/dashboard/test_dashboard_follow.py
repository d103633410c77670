"""Following a study gives what reading it whole gives, and reads only what is new."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from dashboard_small import five, make, opened, record
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from nas.dashboard.feed import Feed
from nas.dashboard.follow import Follower, settled
from nas.errors import NasError
from nas.metrics import Metric
from nas.report.snapshot import SERIES, Snapshot, read_snapshot
from nas.store import RETRAINING, SeriesPoint, Storage


def assert_same(followed: Snapshot, whole: Snapshot) -> None:
    shown = [column for column in whole.trials if not str(column).startswith("final.")]
    assert set(followed.trials) == set(shown)
    for column in shown:
        a, b = followed.trials[column].tolist(), whole.trials[column].tolist()
        assert [None if pd.isna(x) else x for x in a] == [None if pd.isna(x) else x for x in b], column
    assert followed.study == whole.study
    assert followed.front == whole.front
    assert followed.presets == whole.presets
    assert followed.generations == whole.generations
    assert followed.series == whole.series
    assert followed.retrainings == whole.retrainings


STEPS = st.lists(
    st.sampled_from(
        [
            "reserve",
            "finish first",
            "finish last",
            "add",
            "final",
            "train",
            "retrain",
            "again",
            "back",
            "nothing",
        ]
    ),
    min_size=1,
    max_size=14,
)


@given(steps=STEPS)
@example(steps=["reserve", "reserve", "finish last", "finish first"])
@example(steps=["reserve", "add", "finish first", "final", "back", "add"])
@example(steps=["retrain", "retrain", "again", "retrain"])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_happens_the_followed_study_is_the_stored_one(steps: list[str]) -> None:
    storage = Storage("sqlite://")
    study = make(storage)
    follower = Follower(storage, "small")
    running: list[int] = []
    made, retrained, revision = 0, 0, storage.study("small").revision
    for step in steps:
        if step == "reserve":
            storage.add_trials(study, [record(made, None, 0.0, "running")])
            running.append(made)
            made += 1
        elif step.startswith("finish") and running:
            number = running.pop(0 if step.endswith("first") else -1)
            [at] = storage.add_trials(study, [record(number, 0.5 + number / 100, 5.0)])
            assert_same(follower.look(), read_snapshot(storage, "small"))
            point = {"predicted": 0.4, "evaluated": 0.5}
            storage.add_series(study, [SeriesPoint("predictor", int(at), point)])
        elif step == "add":
            storage.add_trials(study, [record(made, 0.5 + made / 100, 5.0 - made / 10)])
            made += 1
        elif step == "final" and storage.front(study):
            number = storage.front(study)[0].number
            storage.add_metrics(study, "final", {number: {"accuracy": Metric(0.4, "fraction", "measured")}})
        elif step == "train":
            storage.add_series(study, [SeriesPoint("train", made, {"loss": 1.0})])
        elif step == "retrain":  # the last point comes once more, as after a checkpoint
            points = [
                SeriesPoint(f"{RETRAINING}b", at, {"loss": made + at}) for at in (retrained, retrained + 1)
            ]
            storage.add_series(study, points)
            retrained += 1
        elif step == "again":
            storage.drop_series(study, f"{RETRAINING}b")
            storage.add_series(study, [SeriesPoint(f"{RETRAINING}b", 0, {"loss": 9.0})])
            retrained = 1
        elif step == "back":
            storage.rollback_to(study, revision)
            running, made = [], 0
        assert_same(follower.look(), read_snapshot(storage, "small"))


class Counted:
    """A storage that notes what is read of it."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self.rows: list[int] = []
        self.points: list[int] = []
        self.calls: list[str] = []

    def trials_frame(self, study_id: int, *, since: int = 0) -> Any:
        found = self._storage.trials_frame(study_id, since=since)
        self.rows.append(len(found))
        return found

    def series(self, study_id: int, name: str, *, after: int | None = None, since: int = 0) -> Any:
        found = self._storage.series(study_id, name, after=after, since=since)
        self.points.append(len(found))
        return found

    def __getattr__(self, name: str) -> Any:
        self.calls.append(name)
        return getattr(self._storage, name)


def test_only_what_is_new_is_read() -> None:
    storage = Storage("sqlite://")
    study = make(storage)
    storage.add_trials(study, [record(index, 0.5, 5.0) for index in range(300)])
    for name in ("train", f"{RETRAINING}b"):
        storage.add_series(study, [SeriesPoint(name, step, {"loss": 1.0}) for step in range(200)])
    counted = Counted(storage)
    follower = Follower(counted, "small")  # type: ignore[arg-type]
    follower.look()
    assert (counted.rows, sum(counted.points)) == ([300], 400)
    storage.add_trials(study, [record(index, 0.5, 5.0) for index in (300, 301)])
    for name in ("train", f"{RETRAINING}b"):
        storage.add_series(study, [SeriesPoint(name, 200, {"loss": 1.0})])
    counted.points.clear()
    assert len(follower.look().trials) == 302
    assert (counted.rows, sum(counted.points)) == ([300, 2], 2)
    counted.calls.clear()
    follower.look()
    assert counted.calls == ["study"]
    assert counted.rows == [300, 2]


def test_a_new_epoch_starts_over() -> None:
    storage = Storage("sqlite://")
    study = make(storage)
    follower = Follower(storage, "small")
    storage.add_trials(study, [record(0, 0.5, 5.0)])
    revision = storage.study("small").revision
    storage.add_trials(study, [record(1, 0.9, 1.0)])
    assert [trial.number for trial in follower.look().front] == [1]
    storage.rollback_to(study, revision)
    storage.add_trials(study, [record(7, 0.4, 9.0)])
    now = follower.look()
    assert now.trials["arch_id"].tolist() == [f"{0:016x}", f"{7:016x}"]
    assert [trial.number for trial in now.front] == [0]


def test_another_study_of_that_name_and_id_starts_over(tmp_path: Path) -> None:
    storage = opened(tmp_path)
    study = make(storage)
    reader = Storage(f"sqlite:///{tmp_path}/nas.db", read_only=True)
    feed, revision = Feed(reader), storage.study("small").revision
    storage.add_trials(study, [record(0, 0.5, 5.0)])
    assert len(feed.study("small").trials) == 1
    fronts = feed.fronts
    assert len(fronts.front(fronts.study("small").id)) == 1
    storage.close()
    for path in tmp_path.iterdir():
        path.unlink()
    storage = opened(tmp_path)
    assert make(storage) == study
    storage.add_trials(study, [record(8, 0.6, 6.0), record(9, 0.5, 5.0)])
    assert storage.study("small").revision == revision + 1
    assert feed.study("small").trials["arch_id"].tolist() == [f"{8:016x}", f"{9:016x}"]
    assert len(fronts.front(fronts.study("small").id)) == 2


def test_the_lowest_trial_that_may_still_change() -> None:
    frame = pd.DataFrame({"number": [0, 1, 2, 3], "state": ["complete", "running", "failed", "running"]})
    assert settled(frame) == 1
    assert settled(frame[frame["state"] != "running"].reset_index()) == 2


def test_looking_neither_waits_for_a_writer_nor_holds_one_up(tmp_path: Path) -> None:
    storage = opened(tmp_path)
    five(storage)
    feed = Feed(Storage(f"sqlite:///{tmp_path}/nas.db", read_only=True))
    writer = sqlite3.connect(tmp_path / "nas.db", isolation_level=None, timeout=0)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("UPDATE studies SET revision = revision + 1")
    before = feed.study("small").study.revision
    assert [one.front for one in feed.listing()] == [3]
    writer.execute("COMMIT")
    assert feed.study("small").study.revision == before + 1
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("COMMIT")


def test_the_list_of_studies(tmp_path: Path) -> None:
    storage = opened(tmp_path)
    five(storage)
    make(storage, "empty")
    feed = Feed(storage)
    listed = {one.study.name: one for one in feed.listing()}
    assert list(listed) == ["empty", "small"]
    assert (listed["small"].front, listed["empty"].front) == (3, 0)
    # rectangles of the staircase up to accuracy 0 and 10 ms: 0.5·9 + 0.1·8 + 0.2·6
    volume = listed["small"].hypervolume
    assert volume is not None
    assert np.isclose(volume, 6.5)
    assert listed["empty"].hypervolume is None
    counted = Counted(storage)
    feed.storage = counted  # type: ignore[assignment]
    assert feed.listing()[1] is listed["small"]
    assert counted.calls == ["marks"]
    storage.set_state(storage.study("empty").id, "finished")
    assert [one.study.state for one in feed.listing()] == ["finished", "running"]
    assert counted.calls[1:] == ["marks", "study", "hypervolume_history", "front"]


def test_a_study_that_is_not_there(tmp_path: Path) -> None:
    feed = Feed(opened(tmp_path))
    with pytest.raises(NasError, match="unknown study 'nothing'"):
        feed.study("nothing")
    assert set(SERIES) == {"train", "conflict", "predictor", "course", "generator"}


def test_only_fronts_of_changed_studies_are_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    storage = Storage("sqlite://")
    studies = [make(storage, name) for name in ("one", "two")]
    for study in studies:
        storage.add_trials(study, [record(0, 0.5, 1.0)])
        storage.record_front(study, 0, wall_s=1.0)
    read: list[int] = []
    whole = storage.front
    monkeypatch.setattr(storage, "front", lambda study_id: [read.append(study_id), whole(study_id)][1])
    fronts = Feed(storage).fronts

    def look() -> list[Any]:
        return [fronts.front(fronts.study(name).id) for name in ("one", "two")]

    assert look() == look() == [whole(study) for study in studies]
    assert read == studies
    storage.add_trials(studies[1], [record(1, 0.9, 2.0)])
    storage.record_front(studies[1], 1, wall_s=1.0)
    assert look() == [whole(study) for study in studies]
    assert read == [*studies, studies[1]]
