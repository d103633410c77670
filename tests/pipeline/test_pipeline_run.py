"""Whole runs at a small scale, from the command line as a user would start them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import nas
from nas.errors import NasError
from nas.pipeline.progress import Silent
from nas.store import Storage

SPACE = Path(__file__).with_name("small.yaml")
SMALL = (
    "threads=1",
    "train.steps=24",
    "train.batch=16",
    "train.resolution_scale=0.25",
    "train.checkpoint_every=6",
    "train.sampler.banks.capacity=3",
    "train.sampler.banks.big_capacity=2",
    "evaluate.recalibrate=1",
    "evaluate.final_recalibrate=1",
    "evaluate.images=64",
    "search.batch=6",
    "search.options.first=12",
    "search.options.generations=4",
    "search.options.population=24",
)


def command(*arguments: str, trials: int = 24) -> list[str]:
    sets = [part for text in SMALL for part in ("--set", text)]
    return [sys.executable, "-m", "nas", "run", str(SPACE), *sets, "--n-trials", str(trials), *arguments]


def launch(folder: Path, *arguments: str, trials: int = 24) -> subprocess.CompletedProcess[str]:
    folder.mkdir(exist_ok=True)
    return subprocess.run(
        command(*arguments, trials=trials), cwd=folder, capture_output=True, text=True, timeout=300
    )


def outcome(folder: Path, name: str = "small-macs") -> dict[str, Any]:
    """Everything of a study that must not depend on interruptions."""
    study = nas.load_study(name, storage=f"sqlite:///{folder / 'nas.db'}")
    trials = study.storage.trials(study.row.id)
    return {
        "trials": [
            (t.number, t.arch_id, t.generation, t.state, {k: m.value for k, m in t.metrics.items()})
            for t in trials
        ],
        "front": [
            (t.number, {k: m.value for k, m in t.at("final").items()})
            for t in study.storage.front(study.row.id)
        ],
        "hypervolume": [g.hypervolume for g in study.storage.hypervolume_history(study.row.id)],
        "losses": [data["losses"] for _, data in study.storage.series(study.row.id, "train")],
        "sampler": study.facts["sampler"],
        "presets": {p.name: p.metrics["accuracy"].value for p in study.storage.presets(study.row.id)},
        "weights": (folder / "nas-runs" / name / "supernet.safetensors").read_bytes(),
    }


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    done = launch(folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_a_run_ends_with_a_front_a_report_and_commands_that_exist(finished: Path) -> None:
    result = outcome(finished)
    assert len(result["trials"]) == 24
    assert len({arch for _, arch, *_ in result["trials"]}) == 24
    assert result["front"]
    assert all("accuracy" in final for _, final in result["front"])
    assert (finished / "nas-runs" / "small-macs" / "report.html").stat().st_size > 100_000
    again = subprocess.run(
        [sys.executable, "-m", "nas", "front", "small-macs", "-f", "json"],
        cwd=finished,
        capture_output=True,
        text=True,
    )
    rows = json.loads(again.stdout)
    assert {row["arch_id"] for row in rows} == {result["trials"][n][1] for n, _ in result["front"]}
    assert all(row["metrics"]["macs"]["provenance"] == "counted" for row in rows)


def test_the_front_is_what_brute_force_says(finished: Path) -> None:
    result = outcome(finished)
    points = {n: (m["accuracy"], m["macs"]) for n, _, _, _, m in result["trials"]}

    def dominated(n: int) -> bool:
        a, c = points[n]
        return any((b >= a and d <= c and (b, d) != (a, c)) for b, d in points.values())

    assert {n for n, _ in result["front"]} == {n for n in points if not dominated(n)}


def wait_for(process: subprocess.Popen[str], path: Path) -> None:
    limit = time.monotonic() + 200
    while not path.exists() and process.poll() is None and time.monotonic() < limit:
        time.sleep(0.02)
    assert path.exists(), process.communicate()[1]


def test_killed_twice_and_resumed_equals_the_uninterrupted_run(finished: Path, tmp_path: Path) -> None:
    run_folder = tmp_path / "nas-runs" / "small-macs"
    for awaited, resume in (
        (run_folder / "checkpoint.previous.pt", ()),
        (run_folder / "search.json", ("--resume",)),
    ):
        process = subprocess.Popen(
            command(*resume), cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        wait_for(process, awaited)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    done = launch(tmp_path, "--resume")
    assert done.returncode == 0, done.stderr
    assert outcome(tmp_path) == outcome(finished)


def test_a_second_run_of_that_name_is_refused_with_both_ways_out(finished: Path) -> None:
    done = launch(finished)
    assert done.returncode == 1
    assert "--resume" in done.stderr and "--study-name" in done.stderr
    assert "Traceback" not in done.stderr


def test_resuming_with_another_configuration_shows_the_difference(finished: Path) -> None:
    done = launch(finished, "--resume", "--seed", "5")
    assert done.returncode == 1
    assert "seed" in done.stderr and "0" in done.stderr and "5" in done.stderr


def test_trained_weights_serve_another_device_without_training(finished: Path, tmp_path: Path) -> None:
    done = launch(finished, "--supernet", "small-macs", "--study-name", "second", trials=6)
    assert done.returncode == 0, done.stderr
    assert "training 1" not in done.stderr
    study = nas.load_study("second", storage=f"sqlite:///{finished / 'nas.db'}")
    assert "train" not in study.storage.series_names(study.row.id)
    assert len(study.trials()) == 6


def test_interrupting_saves_and_says_how_to_go_on(tmp_path: Path) -> None:
    process = subprocess.Popen(
        command(), cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_for(process, tmp_path / "nas-runs" / "small-macs" / "checkpoint.pt")
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "--resume" in told and "Traceback" not in told
    assert nas.load_study("small-macs", storage=f"sqlite:///{tmp_path / 'nas.db'}").row.state == "interrupted"


def test_an_unsatisfiable_constraint_is_explained_before_training(tmp_path: Path) -> None:
    done = launch(tmp_path, "--constraint", "macs<=1k")
    assert done.returncode == 1
    assert (
        "no feasible architecture" in done.stderr and "macs<=1k" in done.stderr and "nearest" in done.stderr
    )
    assert not (tmp_path / "nas-runs").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--device", "pixel7"), "pixel6"),
        (("--constraint", "latency<=20ms"), "--device"),
        (("--objectives", "acuracy:max"), "accuracy"),
        (("--set", "train.stepz=3"), "train.steps"),
        (("--set", "train.steps=many"), "train.steps"),
        (("--strategy", "nsga3"), "nsga2"),
        (("--data", "digit"), "digits"),
        (("--recipe", "papr"), "paper"),
        (("--supernet", "nothing"), "nothing"),
        (("--storage", "sqlite:////proc/none/x.db"), "x.db"),
    ],
)
def test_bad_input_is_one_message_that_names_what_would_be_right(
    tmp_path: Path, arguments: tuple[str, ...], told: str
) -> None:
    done = launch(tmp_path, *arguments)
    assert done.returncode != 0
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_a_failed_start_does_not_use_up_the_name(tmp_path: Path) -> None:
    done = launch(tmp_path, "--data", "imagefolder:missing")
    assert done.returncode == 1
    assert "missing: no such folder" in done.stderr
    assert not (tmp_path / "nas.db").exists() or not Storage(f"sqlite:///{tmp_path / 'nas.db'}").studies()


def test_weights_of_other_data_are_refused(finished: Path) -> None:
    done = launch(finished, "--supernet", "small-macs", "--study-name", "other", "--data", "shapes:size=200")
    assert done.returncode == 1
    assert "digits" in done.stderr and "data" in done.stderr


def test_objectives_take_several_words() -> None:
    from nas.cli import with_objectives

    words = ["run", "x", "--objectives", "accuracy:max", "latency@pixel6:min", "--device", "pixel6"]
    assert with_objectives(words) == [*words[:3], "accuracy:max latency@pixel6:min", *words[5:]]


def test_a_table_space_finds_its_true_front(
    shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    table = f"table:{shared_data / 'nasbench201' / 'nasbench201.csv.gz'}"
    study = nas.run(
        "nasbench201",
        accuracy=f"{table}#cifar10_top1",
        latency=f"{table}#pixel3_ms",
        strategy="nsga2",
        n_trials=600,
        report=False,
        reporter=Silent(),
    )
    front = study.front()
    assert len(study.trials()) == 600
    assert front["accuracy"].max() > 0.94
    assert set(front["accuracy.provenance"]) == {"table"}


def test_python_interface(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    space = nas.load_space("elasticvit")
    batch = space.sample(1000, seed=0)
    costs = nas.cost(space, batch)
    latency = nas.load_device("pixel6").latency(space, batch)
    assert costs["macs"].shape == latency.shape == (1000,)
    assert latency.unit == "ms" and latency.provenance == "predicted"
    search = nas.strategy("nsga2", space, directions=("min", "min"), seed=0)
    asked = search.ask(50)
    search.tell(asked, [[float(i), 1.0] for i in range(50)])
    assert len(search.ask(50)) == 50
    with pytest.raises(NasError, match="no such file"):
        nas.load_study("nothing", storage=f"sqlite:///{tmp_path / 'missing.db'}")
