"""Where the studies of a sweep run: those that were interrupted on the machine that has their files."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from nas.errors import NasError
from nas.pipeline.data import RunData, fingerprints
from nas.scale.cluster import Origin
from nas.scale.homes import homes, newest, pinned
from nas.scale.images import check_images


def test_a_study_goes_where_its_newest_files_are() -> None:
    times = {"10.0.0.1": {"a": 5.0, "b": 7.0}, "10.0.0.2": {"a": 6.0}, "10.0.0.3": {}}
    assert pinned(times, ["a", "b"]) == {"a": "10.0.0.2", "b": "10.0.0.1"}


def test_a_folder_that_all_machines_share_ties_no_study_down() -> None:
    assert pinned({"10.0.0.1": {"a": 5.0}, "10.0.0.2": {"a": 5.0}}, ["a"]) == {}


def test_a_study_without_files_may_run_anywhere() -> None:
    assert pinned({"10.0.0.1": {}, "10.0.0.2": {}}, ["a"]) == {}


def test_only_what_a_study_goes_on_from_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    files = {
        "searched": {"search.json": 42, "supernet.json": 40, "report.html": 99},
        "trained": {"checkpoint.pt": 43},
        "refused": {".lock": 44},
        "reported": {"report.html": 45},
    }
    for name, each in files.items():
        for file, at in each.items():
            path = tmp_path / "nas-runs" / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
            os.utime(path, (0, at))
    assert newest([*files, "never"], Origin("", "")) == {"searched": 42, "trained": 43}


class _Cluster:
    """A Ray of three machines that have these files; the last does not answer."""

    exceptions = SimpleNamespace(RayError=RuntimeError)

    def __init__(self, files: dict[str, dict[str, float]]) -> None:
        self.files = files

    def nodes(self) -> list[dict[str, Any]]:
        gone = {"Alive": False, "NodeManagerAddress": "10.0.0.9", "NodeID": "9"}
        there = [
            {"Alive": True, "NodeManagerAddress": address, "NodeID": f"{number:056x}"}
            for number, address in enumerate(self.files)
        ]
        return [gone, *there]

    def remote(self, **options: Any) -> Any:
        def asked(scheduling_strategy: Any) -> Any:
            return SimpleNamespace(remote=lambda names, origin: scheduling_strategy.node_id)

        return lambda function: SimpleNamespace(options=asked)

    def wait(self, asked: list[str], num_returns: int, timeout: float) -> tuple[list[str], list[str]]:
        return asked[:-1], asked[-1:]

    def get(self, node: str) -> dict[str, float]:
        return list(self.files.values())[int(node, 16)]


def test_a_machine_that_does_not_answer_has_no_files() -> None:
    pytest.importorskip("ray")
    cluster = _Cluster(
        {"10.0.0.1": {"a": 5.0, "net": 1.0}, "10.0.0.2": {"a": 5.0, "net": 2.0}, "10.0.0.3": {}}
    )
    at, weights = homes(cluster, ["a", "b"], "net", Origin("", ""))
    assert at == {"a": "10.0.0.1"} and weights == "10.0.0.1"


def test_weights_that_every_machine_has_tie_nothing_down_however_old() -> None:
    pytest.importorskip("ray")
    files = {"10.0.0.1": {"net": 1.0}, "10.0.0.2": {"net": 2.0}}
    cluster = _Cluster(files)
    cluster.wait = lambda asked, num_returns, timeout: (asked, [])  # type: ignore[method-assign]
    assert homes(cluster, [], "net", Origin("", "")) == ({}, None)


def test_a_machine_with_other_images_is_told() -> None:
    data = cast(RunData, SimpleNamespace(name="flowers", content="11", digest="22"))
    check_images(data, fingerprints(data))
    check_images(data, {"content": "11"})  # of a version that knew no digest
    with pytest.raises(NasError, match=r"images of flowers on .* are not those"):
        check_images(data, {"content": "11", "digest": "23"})
