"""Candidates evaluated by Ray workers, with a real Ray on this machine."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

import nas
from nas.errors import NasError
from nas.pipeline.progress import Silent
from nas.pipeline.run import run
from nas.scale.cluster import connected
from nas.scale.workers import RayPool, Workers

SPACE = Path(__file__).parents[1] / "pipeline" / "small.yaml"
SMALL = (
    "threads=1", "train.steps=8", "train.batch=8", "train.resolution_scale=0.25", "train.checkpoint_every=4",
    "evaluate.recalibrate=1", "evaluate.final_recalibrate=1", "evaluate.images=64", "search.batch=6",
    "search.options.population=6",
)  # fmt: skip
TRIALS = 18


class Heard(Silent):
    """Keeps the warnings."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        self.warnings.append(text)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a finished local study, and Ray running."""
    folder = tmp_path_factory.mktemp("workers")
    before = Path.cwd()
    os.chdir(folder)
    try:
        search("local", None, supernet=None)
        with connected():
            yield folder
    finally:
        os.chdir(before)


def search(
    name: str, workers: Workers | None, supernet: str | None = "local", **more: Any
) -> nas.study.Study:
    settings = {"strategy": "nsga2", "n_trials": TRIALS, "seed": 3, **more}
    return run(SPACE, settings=SMALL, study_name=name, supernet=supernet, workers=workers, **settings)


def search_with_looks(name: str, workers: Workers | None) -> list[dict[str, Any]]:
    """What a search by predictions looked at, and what it saw."""
    small = [
        *SMALL[:-1],
        "search.options.first=6",
        "search.options.generations=3",
        "search.options.population=20",
    ]
    chosen = {"strategy": "predictor", "n_trials": TRIALS, "seed": 3, "supernet": "local"}
    return _looks_of(run(SPACE, settings=small, study_name=name, workers=workers, **chosen))


def _looks_of(study: nas.study.Study) -> list[dict[str, Any]]:
    return [seen for _, seen in study.storage.series(study.row.id, "looks")]


def test_synchronous_workers_find_what_a_local_run_finds(folder: Path) -> None:
    search("synchronous", Workers("local", 2, asynchronous=False))
    here, there = nas.load_study("local").trials(), nas.load_study("synchronous").trials()
    assert list(here["arch_id"]) == list(there["arch_id"])
    assert list(here["accuracy"]) == list(there["accuracy"])


def test_a_killed_worker_is_replaced_and_nothing_is_lost_or_doubled(folder: Path) -> None:
    heard = Heard()
    stop = threading.Event()
    threading.Thread(target=_kill_one_worker, args=(stop,), daemon=True).start()
    search("killed", Workers("local", 2), reporter=heard)
    stop.set()
    trials = nas.load_study("killed").trials()
    assert any("replaced" in warning for warning in heard.warnings)
    assert len(trials) == TRIALS == trials["arch_id"].nunique()
    assert (trials["state"] == "complete").all()
    assert trials["accuracy"].notna().all()


def test_workers_look_at_candidates_as_a_local_run_does(folder: Path) -> None:
    here = search_with_looks("looks", None)
    assert len(here) > TRIALS
    assert search_with_looks("looks of workers", Workers("local", 2, asynchronous=False)) == here


def test_what_a_worker_died_of_looking_at_is_looked_at_here(folder: Path) -> None:
    here = search_with_looks("looks here", None)
    stop = threading.Event()
    threading.Thread(target=_kill_one_worker, args=(stop, "look"), daemon=True).start()
    assert search_with_looks("killed looking", Workers("local", 2, asynchronous=False)) == here
    stop.set()


def test_a_candidate_that_costs_too_many_workers_is_given_up(folder: Path) -> None:
    heard = Heard()
    stop = threading.Event()
    threading.Thread(target=_kill_one_worker, args=(stop,), daemon=True).start()
    search("given up", Workers("local", 2, max_failures=0), reporter=heard)
    stop.set()
    states = nas.load_study("given up").trials()["state"]
    assert sorted(states)[-1] == "failed" and (states == "complete").sum() == TRIALS - 1 == len(states) - 1
    assert any("it counts as failed" in warning for warning in heard.warnings)


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster without room for any worker that replaces another."""
    new = RayPool._new

    def without_room(self: RayPool) -> Any:
        if not hasattr(self, "actors"):  # those of the beginning
            return new(self)
        return self._actor.options(num_cpus=4096).remote(*self._parts)

    monkeypatch.setattr(RayPool, "_new", without_room)


def test_others_go_on_where_a_replacement_finds_no_room(folder: Path, full: None) -> None:
    stop = threading.Event()
    threading.Thread(target=_kill_one_worker, args=(stop,), daemon=True).start()
    search("without room", Workers("local", 2))
    stop.set()
    trials = nas.load_study("without room").trials()
    assert len(trials) == TRIALS and trials["accuracy"].notna().all()


def test_a_search_whose_last_worker_cannot_be_replaced_ends(
    folder: Path, full: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nas.scale.workers.READY_S", 30.0)
    stop = threading.Event()
    threading.Thread(target=_kill_one_worker, args=(stop,), daemon=True).start()
    with pytest.raises(NasError, match="no replacement started within 30 s"):
        search("without workers", Workers("local", 1))
    stop.set()


def _kill_one_worker(stop: threading.Event, at: str = "evaluate") -> None:
    while not stop.is_set():
        time.sleep(0.05)
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                if f"ray::_Worker.{at}" in " ".join(process.cmdline()):
                    process.kill()
                    return


def test_a_stopped_asynchronous_search_goes_on_with_what_was_in_flight(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nas.pipeline.searching import Search

    learn, told = Search.learn, []

    def stop_in_the_middle(self: Search, *arguments: Any) -> None:
        learn(self, *arguments)
        told.append(1)
        if len(told) == 4:
            raise NasError("stopped")

    monkeypatch.setattr(Search, "learn", stop_in_the_middle)
    with pytest.raises(NasError, match="stopped"):
        search("stopped", Workers("local", 2))
    monkeypatch.undo()
    before = list(nas.load_study("stopped").trials()["arch_id"])
    search("stopped", Workers("local", 2), resume=True)
    after = list(nas.load_study("stopped").trials()["arch_id"])
    assert 0 < len(before) < TRIALS
    assert after[: len(before)] == before and len(after) == TRIALS == len(set(after))


def test_workers_that_share_cores_do_not_spin(folder: Path) -> None:
    import ray

    policy = ray.remote(num_cpus=0)(lambda: os.environ.get("OMP_WAIT_POLICY"))
    assert ray.get(policy.remote()) == "PASSIVE"


def test_more_workers_than_processors_is_an_error(folder: Path) -> None:
    with pytest.raises(NasError, match="one for each worker"):
        search("many", Workers("local", 4096))


def test_workers_without_networks_to_evaluate(folder: Path) -> None:
    with pytest.raises(NasError, match="nothing for workers"):
        search("none", Workers("local", 1), supernet=None, objectives=["macs:min", "params:max"])


def test_no_cluster_at_an_address() -> None:
    code = "from nas.scale.cluster import connected\nwith connected('127.0.0.1:1'): pass"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert "no Ray at '127.0.0.1:1'" in done.stderr and "ray start --head" in done.stderr
