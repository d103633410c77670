"""Where interrupted studies of a sweep go on: on the machine that has their files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nas.scale.cluster import Origin
from nas.scale.homes import newest, pinned


def test_a_study_goes_where_its_newest_files_are() -> None:
    times = {"10.0.0.1": {"a": 5.0, "b": 7.0}, "10.0.0.2": {"a": 6.0}, "10.0.0.3": {}}
    assert pinned(times, ["a", "b"]) == {"a": "10.0.0.2", "b": "10.0.0.1"}


def test_a_folder_that_all_machines_share_ties_no_study_down() -> None:
    assert pinned({"10.0.0.1": {"a": 5.0}, "10.0.0.2": {"a": 5.0}}, ["a"]) == {}


def test_a_study_without_files_may_run_anywhere() -> None:
    assert pinned({"10.0.0.1": {}, "10.0.0.2": {}}, ["a"]) == {}


def test_a_lock_alone_is_nothing_to_go_on_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, file in (("begun", "search.json"), ("refused", ".lock"), ("deep", "training/state.json")):
        path = tmp_path / "nas-runs" / name / file
        path.parent.mkdir(parents=True)
        path.touch()
        os.utime(path, (0, 42))
    assert newest(["begun", "refused", "deep", "never"], Origin("", "")) == {"begun": 42, "deep": 42}
