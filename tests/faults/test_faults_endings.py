"""How runs end: signals, kills, who runs a study, and what may change when it goes on."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from endings_small import command, environment, outcome, search, words, write_cells
from sqlalchemy import create_engine, text

import nas
from nas.errors import NasError
from nas.pipeline.progress import Silent
from nas.pipeline.stopping import Interrupt, Stopped, status
from nas.store import Objective, Storage

TRAINED = Path(__file__).resolve().parents[1] / "pipeline" / "small.yaml"
TINY = (
    "threads=1",
    "train.steps=12",
    "train.batch=8",
    "train.resolution_scale=0.25",
    "train.checkpoint_every=110",
    "train.sampler.banks.capacity=3",
    "train.sampler.banks.big_capacity=2",
    "evaluate.recalibrate=1",
    "evaluate.final_recalibrate=1",
    "evaluate.images=32",
    "search.batch=4",
)


@pytest.fixture(autouse=True)
def cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a space of measured cells."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NAS_STORAGE", raising=False)
    write_cells(tmp_path)
    return tmp_path


class Sends(Silent):
    """Sends this process a signal when a task has advanced so often."""

    def __init__(self, number: int, task: str, after: int) -> None:
        self.number, self.named, self.after = number, task, after

    @contextmanager
    def task(self, name: str, total: int, done: int = 0) -> Iterator[Any]:
        yield self if name == self.named else Sends(self.number, "", 0)

    def advance(self, text: str = "") -> None:
        self.after -= 1
        if self.named and self.after == 0:
            os.kill(os.getpid(), self.number)


def train(**given: Any) -> nas.Study:
    return nas.run(
        TRAINED, settings=TINY, n_trials=4, strategy="random", study_name="t", report=False, **given
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_any_signal_stops_a_search_within_a_batch_and_resuming_equals_the_whole_run(number: int) -> None:
    search(n_trials=30, study_name="whole")
    with pytest.raises(Stopped) as stopped:
        search(n_trials=30, reporter=Sends(number, "searching", 8))
    assert status(stopped.value) == 128 + number
    study = Storage().study("s")
    assert study.state == "interrupted" and study.n_trials == 12
    search(n_trials=30, resume=True)
    assert outcome() == outcome("whole")
    assert Storage().study("s").state == "finished"


def test_a_signal_stops_a_training_within_a_step_however_rare_its_checkpoints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = tmp_path / "whole"
    whole.mkdir()
    monkeypatch.chdir(whole)
    train()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Stopped, match="step 5 of 12 is saved"):
        train(reporter=Sends(signal.SIGTERM, "training", 5))
    assert Storage().study("t").state == "interrupted"
    train(resume=True)
    weights = Path("nas-runs") / "t" / "supernet.safetensors"
    assert weights.read_bytes() == (whole / weights).read_bytes()
    assert outcome("t") == outcome("t", f"sqlite:///{whole / 'nas.db'}")


def test_a_second_signal_stops_at_once() -> None:
    with Interrupt() as interrupt, pytest.raises(Stopped) as stopped:
        os.kill(os.getpid(), signal.SIGTERM)
        assert interrupt.asked
        os.kill(os.getpid(), signal.SIGHUP)
        time.sleep(5)
    assert status(stopped.value) == 129


def test_nohup_is_respected_and_handlers_are_put_back() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interrupt() as interrupt:
            os.kill(os.getpid(), signal.SIGHUP)
            time.sleep(0.05)
            assert not interrupt.asked
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def begun(tmp_path: Path, *more: str) -> subprocess.Popen[str]:
    """A run in a process of its own that has stored trials and is not at its end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "nas", *words("--n-trials", "120", "--set", "search.batch=1", *more)],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    limit = time.monotonic() + 100
    while time.monotonic() < limit and process.poll() is None:
        with_trials = Path("nas-runs/s/search.previous.json")
        if with_trials.exists():
            break
        time.sleep(0.01)
    return process


def test_the_command_that_a_stopped_run_names_goes_on(tmp_path: Path) -> None:
    process = begun(tmp_path)
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 143, told
    assert "Traceback" not in told
    (line,) = [line.strip() for line in told.splitlines() if "--resume" in line]
    done = command(*shlex.split(line)[1:], folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert Storage().study("s").n_trials == 120


def test_a_killed_run_is_lost_in_every_view_and_its_command_goes_on(tmp_path: Path) -> None:
    process = begun(tmp_path)
    assert Storage(read_only=True).study("s").state == "running"
    process.kill()
    process.communicate()
    assert Storage(read_only=True).study("s").state == "lost"
    assert [mark.state for mark in Storage(read_only=True).marks()] == ["lost"]
    assert '"lost"' in command("study", "list", "-f", "json", folder=tmp_path).stdout
    shown = command("study", "show", "s", folder=tmp_path).stdout
    assert f"process {process.pid} on" in shown and "which is gone" in shown
    (line,) = [line for line in shown.splitlines() if line.startswith("To go on: ")]
    done = command(*shlex.split(line.removeprefix("To go on: "))[1:], folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert Storage().study("s").state == "finished"


HOLD = """
import sys, time
from nas.store import Objective, Storage
store = Storage(sys.argv[1])
store.create_study("s", space="cells", space_hash="x", objectives=[Objective("a", "max")], config={})
print("held", flush=True)
time.sleep(600)
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'held.db'}"
    engine = request.getfixturevalue("postgresql")
    with engine.connect() as connection:
        connection.exec_driver_sql("DROP SCHEMA public CASCADE")
        connection.exec_driver_sql("CREATE SCHEMA public")
    return str(engine.url.render_as_string(hide_password=False))


def test_a_study_is_run_by_one_process_wherever_its_folders_are(url: str) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, url], stdout=subprocess.PIPE, text=True, env=environment()
    )
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        store = Storage(url)
        study = store.study("s")
        assert study.state == "running" and study.runner is not None and study.runner.pid == holder.pid
        with pytest.raises(NasError, match=f"being run by another process: process {holder.pid} on"):
            store.set_state(study.id, "running")
        with pytest.raises(NasError, match="stop it before it is deleted"):
            store.delete_study("s")
    finally:
        holder.kill()
        holder.wait()
    assert store.study("s").state == "lost"
    store.set_state(study.id, "running")
    assert store.study("s").state == "running"
    store.set_state(study.id, "finished")
    assert store.study("s").runner is None
    store.delete_study("s")
    assert store.studies() == []
    store.close()


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ("started = started - 1000", "lost"),  # another process has that number now
        ("token = 'other', machine = 'elsewhere'", "running"),
        ("machine = 'elsewhere', beat = '2020-01-01 00:00:00'", "lost"),
        ("pid = 2000000000", "lost"),
    ],
)
def test_a_process_is_known_by_number_start_and_machine_or_by_when_it_was_heard_from(
    url: str, change: str, state: str
) -> None:
    store = Storage(url)
    study = store.create_study("s", space="x", space_hash="x", objectives=[Objective("a", "max")], config={})
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE leases SET {change}"))
    engine.dispose()
    assert Storage(url).study("s").state == state
    if state == "running":  # whoever was taken for dead must not write on
        with pytest.raises(NasError, match="taken for dead"):
            store.add_facts(study.id, {"more": 1})
    store.close()


def test_the_thread_gives_signs_of_life_without_touching_the_study(monkeypatch: pytest.MonkeyPatch) -> None:
    from nas.pipeline.lock import heard_from

    monkeypatch.setattr("nas.store.leases.BEAT_S", 0.02)
    store = Storage()
    store.create_study("s", space="x", space_hash="x", objectives=[Objective("a", "max")], config={})
    before = store.study("s")
    assert before.runner is not None
    with heard_from(store):
        limit = time.monotonic() + 10
        while time.monotonic() < limit:
            now = store.study("s")
            assert now.runner is not None
            if now.runner.beat > before.runner.beat:
                break
            time.sleep(0.02)
    assert now.runner.beat > before.runner.beat
    assert (now.revision, now.updated) == (before.revision, before.updated)


def test_a_storage_of_the_first_version_is_read_as_it_is_and_upgraded_by_a_run(url: str) -> None:
    from alembic import command as alembic
    from alembic.config import Config

    from nas.store import schema

    store = Storage(url)
    store.create_study("s", space="x", space_hash="x", objectives=[Objective("a", "max")], config={})
    with store._writer.begin() as connection:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(schema.MIGRATIONS))
        alembic.downgrade(config, "0001")
    store.close()
    reader = Storage(url, read_only=True)
    assert [study.state for study in reader.studies()] == ["lost"]
    again = Storage(url)
    again.set_state(again.study("s").id, "running")
    assert [study.state for study in reader.studies()] == ["running"]
    assert [study.state for study in again.studies()] == ["running"]
    reader.close()
    again.close()


FEW = ("search.options.first=6", "search.options.generations=2", "search.options.population=12", "threads=1")


@pytest.mark.parametrize(
    ("strategy", "settings", "first", "last"),
    [("random", (), 10, 26), ("nsga2", (), 10, 26), ("nsga2", (), 12, 26), ("predictor", FEW, 7, 14)],
)
def test_a_study_that_is_made_longer_equals_the_longer_one(
    strategy: str, settings: tuple[str, ...], first: int, last: int
) -> None:
    given: dict[str, Any] = {"strategy": strategy, "settings": settings}
    search(n_trials=last, study_name="whole", **given)
    search(n_trials=first, **given)
    search(n_trials=last - 5, resume=True, **given)
    search(n_trials=last, resume=True, **given)
    assert outcome() == outcome("whole")
    study = Storage().study("s")
    assert study.config["settings"]["search"]["n_trials"] == last
    assert [change["trials"] for change in study.facts["changed"]] == [first, last - 5]


def test_a_budget_that_a_strategy_was_built_for_stays_what_it_was() -> None:
    """Some of nevergrad's optimisers choose their method by it."""
    search(n_trials=10, strategy="nevergrad:TwoPointsDE")
    search(n_trials=30, strategy="nevergrad:TwoPointsDE", resume=True)
    study = Storage().study("s")
    assert study.n_trials == 30 and study.facts["budget"] == 10


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"seed": 7}, "seed"),
        ({"strategy": "random"}, "strategy"),
        ({"objectives": ["accuracy:max"]}, "objectives"),
        ({"constraints": ["latency<=50ms"]}, "constraints"),
        ({"settings": ["search.options.population=9"]}, "population"),
        ({"n_trials": 5}, "5"),
    ],
)
def test_what_changes_the_meaning_of_a_study_is_refused(change: dict[str, Any], named: str) -> None:
    search()
    with pytest.raises(NasError, match=named):
        search(resume=True, **change)
    assert Storage().study("s").state == "finished"


def test_threads_batches_and_timeouts_may_change() -> None:
    search(n_trials=12, timeout=0.0)
    assert Storage().study("s").n_trials == 0
    search(n_trials=12, resume=True, timeout=500.0, settings=["threads=1", "search.batch=4"])
    assert Storage().study("s").n_trials == 12


def test_nothing_is_made_by_a_run_that_cannot_begin(tmp_path: Path) -> None:
    for given, told in (
        (("--resume",), "Leave --resume out"),
        (("--constraint", "latency<=0.5ms"), "no feasible architecture"),
        (("--ray", "auto"), "nothing for workers to do"),
    ):
        done = command(*words(*given), folder=tmp_path)
        assert done.returncode == 1 and told in done.stderr, done.stderr
        assert not (tmp_path / "nas.db").exists() and not (tmp_path / "nas-runs").exists()


def test_a_missing_cluster_is_told_before_there_is_a_study_and_by_its_option(tmp_path: Path) -> None:
    sets = [word for setting in TINY for word in ("--set", setting)]
    done = command("run", str(TRAINED), *sets, "--study-name", "t", "--ray", "auto", folder=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "--ray local" in done.stderr and "--address" not in done.stderr
    assert not (tmp_path / "nas.db").exists() and not (tmp_path / "nas-runs").exists()


def test_the_remedies_of_a_taken_name_work(tmp_path: Path) -> None:
    search()
    done = command(*words("--n-trials", "10"), folder=tmp_path)
    assert done.returncode == 1
    assert "--resume" in done.stderr and "--study-name" in done.stderr
    assert "nas study delete s makes room" in done.stderr
    asked = command("study", "delete", "s", folder=tmp_path, input="n\n")
    assert asked.returncode == 1 and Storage().names() == ["s"]
    deleted = command("study", "delete", "s", "--yes", folder=tmp_path)
    assert deleted.returncode == 0 and "nas-runs/s" in deleted.stdout
    assert Storage().names() == []
    assert command(*words("--n-trials", "10"), folder=tmp_path).returncode == 0
    assert command(*words("--n-trials", "10", "--resume"), folder=tmp_path).returncode == 0


def test_a_name_that_no_study_has_is_not_deleted(tmp_path: Path) -> None:
    search()
    done = command("study", "delete", "t", "--yes", folder=tmp_path)
    assert done.returncode == 1 and "unknown study 't'" in done.stderr, done.stderr
    assert Storage().names() == ["s"]
