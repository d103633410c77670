"""Sweeps: which studies a file means, and running them on a real Ray, on one node and on two."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import URL, Engine

import nas
from nas.errors import ConfigError, NasError
from nas.pipeline.progress import Silent
from nas.plugins.carried import Carried
from nas.report.overlay import overlay
from nas.report.overlay_figure import draw_overlay
from nas.scale.cluster import Origin
from nas.scale.sweep import _study, sweep
from nas.scale.sweep_file import load_sweep, members
from nas.search.pareto import hypervolume
from nas.store import Storage

TABLE = "version: 1\nname: toy\ndecisions: {a: [1, 2, 3, 4, 5], b: [1, 2, 3, 4, 5], c: [x, y]}\n"
TOKEN = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0123456789abcdef" * 4, "RAY_USAGE_STATS_ENABLED": "0"}
SWEEP = """\
version: 1
name: demo
run:
  n_trials: 12
  accuracy: table:measured.csv#top1
  latency: table:measured.csv#ms
grid:
  space: [toy.yaml]
  strategy: [nsga2, random]
  seed: [0, 1]
"""


def write(folder: Path, sweep: str = SWEEP) -> Path:
    (folder / "toy.yaml").write_text(TABLE)
    rows = [
        f"{a},{b},{c},{(a + b + (c == 'x')) / 20},{a * b + (c == 'x')}"
        for a in range(1, 6)
        for b in range(1, 6)
        for c in "xy"
    ]
    (folder / "measured.csv").write_text("\n".join(["a,b,c,top1,ms", *rows]))
    path = folder / "sweep.yaml"
    path.write_text(sweep)
    return path


def launch(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "nas", "sweep", "sweep.yaml", *arguments],
        cwd=folder, capture_output=True, text=True, timeout=200, check=False, env={**os.environ, **environment},
    )  # fmt: skip


def test_a_grid_is_the_product_of_its_axes(tmp_path: Path) -> None:
    text = SWEEP.replace("  seed: [0, 1]", "  seed: [4]\n  set:\n    search.batch: [5, 6]\n")
    found = members(load_sweep(write(tmp_path, text)))
    assert [member.name for member in found] == [
        "demo-toy-nsga2-batch=5-s4",
        "demo-toy-nsga2-batch=6-s4",
        "demo-toy-random-batch=5-s4",
        "demo-toy-random-batch=6-s4",
    ]
    assert found[1].arguments["settings"] == ["search.batch=6"] and found[1].arguments["seed"] == 4


def test_a_date_is_text(tmp_path: Path) -> None:
    text = SWEEP.replace("  seed: [0, 1]", "  seed: [4]\n  set:\n    data.spec: [2020-01-01]\n")
    assert members(load_sweep(write(tmp_path, text)))[0].arguments["settings"] == ['data.spec="2020-01-01"']


def test_a_sample_is_part_of_the_grid_and_the_same_each_time(tmp_path: Path) -> None:
    path = write(tmp_path, SWEEP.replace("seed: [0, 1]", "seed: [0, 1, 2, 3, 4]"))
    whole = {member.name for member in members(load_sweep(path))}
    path.write_text(path.read_text() + "sample: 4\n")
    drawn = [member.name for member in members(load_sweep(path))]
    assert len(set(drawn)) == 4 and set(drawn) < whole
    assert drawn == [member.name for member in members(load_sweep(path))]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("strategy", "strategi", "mean 'strategy'"),
        ("seed: [0, 1]", "seed: [0]\n  set: {search.bach: [1]}", "mean 'search.batch'"),
        ("seed: [0, 1]", "seed: [0]\n  set: {search.batch: []}", "no value"),
        ("space: [toy.yaml]", "space: []", "at least 1"),
        ("seed: [0, 1]", "seed: []", "at least 1"),
        ("seed: [0, 1]", "seed: [true]", r"yaml:10: grid.seed\[0\]: must be a valid integer"),
        ("seed: [0, 1]", "seed: [0, -1]", r"yaml:10: grid.seed\[1\]: must be greater than or equal to 0"),
        ("name: demo", "name: ' '", "at least 1 character"),
        ("seed: [0, 1]", "seed: [0]\n  set: {seed: [1]}", "grid's own key"),
        ("name: demo", "name: demo\nsample: 0", "greater than or equal to 1"),
    ],
)
def test_a_wrong_file_is_explained(old: str, new: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=words):
        load_sweep(write(tmp_path, SWEEP.replace(old, new)))


@pytest.mark.parametrize("value", ["!!binary aGVsbG8=", "!!set {a, b}"])
def test_what_is_no_setting_is_refused(value: str, tmp_path: Path) -> None:
    text = SWEEP.replace("  seed: [0, 1]", f"  set:\n    data.spec: [{value}]\n")
    with pytest.raises(NasError, match=r"data\.spec"):
        members(load_sweep(write(tmp_path, text)))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("name: demo", f"name: {'long' * 60}", "1 to 200 printable characters"),
        ("name: demo", f"name: {'ü' * 60}", r"as the name of a folder it has 3\d\d bytes"),
        ("  n_trials: 12", "  n_trials: 12\n  supernet: nowhere", "nowhere: no trained supernet there"),
    ],
)
def test_what_no_study_could_do_is_told_before_any_runs(
    old: str, new: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NasError, match=words):
        sweep(load_sweep(write(tmp_path, SWEEP.replace(old, new))), Silent())
    assert not (tmp_path / "nas-runs").exists()


def test_the_same_study_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NasError, match="would be named"):
        members(load_sweep(write(tmp_path, SWEEP.replace("seed: [0, 1]", "seed: [0, 0]"))))


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished sweep, whose first attempt could not run and whose second was a part of the grid."""
    folder = tmp_path_factory.mktemp("swept")
    path = write(folder)
    path.write_text(SWEEP.replace("random]", "randum]"))
    broken = launch(folder)
    assert broken.returncode == 1 and "Did you mean 'random'" in broken.stderr, broken.stderr
    assert "demo-toy-randum-s0" in broken.stderr and not (folder / "nas-runs").exists()
    path.write_text(SWEEP + "sample: 2\n")
    part = launch(folder)
    assert part.returncode == 0, part.stderr
    path.write_text(SWEEP)
    whole = launch(folder)
    assert whole.returncode == 0, whole.stderr
    assert "4 studies, 2 of them finished before" in whole.stderr
    return folder


def test_a_sweep_stores_every_study_and_compares_them(swept: Path) -> None:
    storage = Storage(f"sqlite:///{swept / 'nas.db'}", read_only=True)
    names = [member.name for member in members(load_sweep(swept / "sweep.yaml"))]
    assert {study.name: study.state for study in storage.studies()} == dict.fromkeys(names, "finished")
    found = overlay(storage, names)
    corners = [storage.study(name).reference_point for name in names]
    assert found.reference[1] == max(corner["latency"] for corner in corners if corner)
    for outline, name in zip(found.outlines, names):
        front = nas.load_study(name, storage=storage.url).front()
        values = front[["accuracy", "latency"]].to_numpy()
        assert outline.hypervolume == pytest.approx(hypervolume(values, found.reference, ("max", "min")))
    drawn = draw_overlay(found).data
    assert [trace.name for trace in drawn] == names
    assert sorted(drawn[0].x) == pytest.approx(np.sort(found.outlines[0].values[:, 1]))
    report = swept / "nas-runs" / "demo-sweep" / "report.html"
    assert all(name in report.read_text() for name in names)


def test_a_stopped_study_goes_on_with_other_resources(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Threads are reserved by them and change results, so that it keeps those it began with."""
    monkeypatch.chdir(tmp_path)
    [member, *_] = members(load_sweep(write(tmp_path)))
    work: dict[str, Any] = {"url": "sqlite:///nas.db", "origin": Origin("", ""), "threads": 1}
    work["plugins"] = Carried.of(None)
    work["members"] = {member.name: (member.arguments, member.digest)}
    assert _study({"name": member.name}, work)["failed"] is None
    storage = Storage(work["url"])
    storage.set_state(storage.study(member.name).id, "interrupted")
    assert _study({"name": member.name}, {**work, "threads": 2})["failed"] is None
    row = storage.study(member.name)
    assert (row.state, row.config["settings"]["threads"], row.n_trials) == ("finished", 1, 12)


def test_a_finished_sweep_is_not_run_again(swept: Path) -> None:
    again = launch(swept)
    assert again.returncode == 0 and "4 of them finished before" in again.stderr
    assert "toy-nsga2" in again.stdout and "hypervolume" in again.stdout


def test_a_changed_sweep_does_not_pass_old_results_for_new_ones(swept: Path) -> None:
    path = swept / "sweep.yaml"
    try:
        path.write_text(SWEEP.replace("n_trials: 12", "n_trials: 20"))
        changed = launch(swept)
    finally:
        path.write_text(SWEEP)
    assert changed.returncode == 1 and "run with other arguments" in changed.stderr


def test_studies_with_other_objectives_cannot_be_compared(
    swept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(swept)
    storage = Storage("sqlite:///nas.db")
    nas.run("toy.yaml", accuracy="table:measured.csv#top1", latency="table:measured.csv#ms", study_name="one",
            objectives=["latency:min"], strategy="random", n_trials=3)  # fmt: skip
    with pytest.raises(NasError, match="cannot be compared"):
        overlay(storage, ["demo-toy-nsga2-s0", "one"])


def test_a_changed_table_is_another_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = load_sweep(write(tmp_path))
    before = [member.digest for member in members(file)]
    assert [member.digest for member in members(file)] == before
    table = tmp_path / "measured.csv"
    table.write_text(table.read_text().replace("0.15,", "0.16,"))
    assert all(a != b for a, b in zip(before, [member.digest for member in members(file)]))


def test_a_larger_sample_holds_the_smaller_one(tmp_path: Path) -> None:
    path = write(tmp_path)
    whole = path.read_text().replace("seed: [0, 1]", "seed: [0, 1, 2, 3, 4]")
    drawn = []
    for count in (3, 7):
        path.write_text(whole + f"sample: {count}\n")
        drawn.append({member.name for member in members(load_sweep(path))})
    assert drawn[0] < drawn[1] and len(drawn[1]) == 7


@pytest.fixture
def cluster() -> Iterator[str]:
    """A head and a second node, each its own `ray start`."""
    folder = tempfile.mkdtemp(prefix="nas-ray-")  # Ray's sockets do not fit into pytest's long paths
    ray = str(Path(sys.executable).with_name("ray"))
    address = "127.0.0.1:6399"
    environment = {**os.environ, **TOKEN}
    shared = ["--num-cpus=1", "--disable-usage-stats", "--block"]
    started = []
    try:
        for first in (
            ["--head", "--port=6399", "--include-dashboard=false", f"--temp-dir={folder}"],
            [f"--address={address}"],
        ):
            command = [ray, "start", *first, *shared]
            started.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment))
            _wait_for_nodes(ray, address, environment, len(started))
        yield address
    finally:
        for process in reversed(started):
            process.terminate()
        for process in started:
            process.wait(timeout=60)
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for_nodes(ray: str, address: str, environment: dict[str, str], count: int) -> None:
    for _ in range(60):
        status = [ray, "status", f"--address={address}"]
        found = subprocess.run(status, capture_output=True, text=True, check=False, env=environment)
        if found.stdout.count(" node_") >= count:
            return
        time.sleep(1)
    raise TimeoutError(f"{count} nodes did not start: {found.stdout}{found.stderr}")


def test_a_sweep_on_a_head_and_a_second_node(cluster: str, tmp_path: Path) -> None:
    write(tmp_path)
    done = launch(tmp_path, "--address", cluster, **TOKEN)
    assert done.returncode == 0, done.stderr
    assert "2 CPU on 2 machine(s)" in done.stderr
    states = {study.state for study in Storage(f"sqlite:///{tmp_path / 'nas.db'}", read_only=True).studies()}
    assert states == {"finished"}


@pytest.fixture
def guarded(postgresql: Engine) -> Iterator[URL]:
    """A database whose user has to name a password."""
    url = postgresql.url.set(username="sweeper", password="p@ss/wo:rd", database="sweeps")
    with postgresql.connect() as connection:
        connection.exec_driver_sql("CREATE ROLE sweeper LOGIN PASSWORD 'p@ss/wo:rd'")
        connection.exec_driver_sql("CREATE DATABASE sweeps OWNER sweeper")
        rules = Path(str(connection.exec_driver_sql("SHOW hba_file").scalar()))
        before = rules.read_text()
        rules.write_text(
            "local sweeps sweeper scram-sha-256\nhost sweeps sweeper all scram-sha-256\n" + before
        )
        connection.exec_driver_sql("SELECT pg_reload_conf()")
        yield url
        rules.write_text(before)
        connection.exec_driver_sql("SELECT pg_reload_conf()")
        connection.exec_driver_sql("DROP DATABASE sweeps WITH (FORCE)")
        connection.exec_driver_sql("DROP ROLE sweeper")


def test_a_sweep_on_a_database_with_a_password(guarded: URL, tmp_path: Path) -> None:
    write(tmp_path)
    wrong = guarded.set(password="guess").render_as_string(hide_password=False)
    refused = launch(tmp_path, "--storage", wrong)
    assert refused.returncode == 1 and "password" in refused.stderr and "guess" not in refused.stderr
    right = guarded.render_as_string(hide_password=False)
    done = launch(tmp_path, "--storage", right)
    assert done.returncode == 0, done.stderr
    assert "p@ss" not in done.stderr + done.stdout and "p%40ss" not in done.stderr + done.stdout
    assert {study.state for study in Storage(right).studies()} == {"finished"}


def test_a_study_too_big_for_the_cluster_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, SWEEP + "resources: {cpu: 999}\n")
    done = launch(tmp_path)
    assert done.returncode == 1 and "takes 999 CPU" in done.stderr and "Traceback" not in done.stderr
