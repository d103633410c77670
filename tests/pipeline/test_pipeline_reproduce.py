"""Running a stored study again: the same to the last digit, or what differs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import nas
from nas.errors import NasError
from nas.pipeline.facts import spread
from nas.pipeline.progress import Silent
from nas.pipeline.reproduce import reproduce
from nas.pipeline.stopping import End
from nas.scale.workers import Workers
from nas.store import Storage

SPACE = Path(__file__).parent / "small.yaml"
SMALL = (
    "threads=1", "train.steps=6", "train.batch=8", "train.resolution_scale=0.25", "evaluate.recalibrate=1",
    "evaluate.final_recalibrate=1", "evaluate.images=64", "search.batch=4", "search.options.population=4",
)  # fmt: skip
TABLE = "version: 1\nname: toy\ndecisions: {a: [1, 2, 3, 4], b: [1, 2, 3, 4]}\n"


def test_a_run_with_a_supernet_is_the_same_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    nas.run(
        SPACE,
        settings=SMALL,
        strategy="nsga2",
        n_trials=8,
        seed=5,
        study_name="first",
        constraints=["macs<=9M"],
    )
    storage = Storage()
    found = reproduce(storage, storage.study("first"), Silent(), space_file=str(SPACE))
    assert found.same, (found.trials, found.front)
    assert not found.facts
    then, now = (nas.load_study(name).trials() for name in ("first", "first-reproduced"))
    assert list(then["accuracy"]) == list(now["accuracy"]) and len(now) == 8
    other = nas.run(SPACE, settings=SMALL, strategy="nsga2", n_trials=8, seed=6, study_name="seed-6")
    assert list(other.trials()["accuracy"]) != list(then["accuracy"])


@pytest.fixture
def tabled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The table of a finished study."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "toy.yaml").write_text(TABLE)
    rows = [f"{a},{b},{(a + b) / 10},{a * b}" for a in range(1, 5) for b in range(1, 5)]
    table = tmp_path / "measured.csv"
    table.write_text("\n".join(["a,b,top1,ms", *rows]))
    nas.run("toy.yaml", accuracy="table:measured.csv#top1", latency="table:measured.csv#ms", study_name="t",
            strategy="nsga2", n_trials=12)  # fmt: skip
    return table


def test_changed_data_is_found_and_the_exit_status_says_so(tabled: Path) -> None:
    command = [sys.executable, "-m", "nas", "reproduce", "t", "--space", "toy.yaml", "-q", "-f", "json"]
    same = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert same.returncode == 0 and json.loads(same.stdout)["same"] is True, same.stderr
    trial = Storage().trials(Storage().study("t").id)[4]
    row = ",".join(str(trial.arch[name]) for name in "ab")
    lines = [line + "9" if line.startswith(row + ",") else line for line in tabled.read_text().splitlines()]
    tabled.write_text("\n".join(lines))
    differs = subprocess.run(
        [*command, "--study-name", "again"], capture_output=True, text=True, check=False, timeout=120
    )
    assert differs.returncode == 1, differs.stderr
    told = json.loads(differs.stdout)
    assert told["trials"].startswith("trial 4: latency was") and told["same"] is False


def test_a_study_that_its_timeout_ended_is_repeated_to_that_trial(
    tabled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = {"accuracy": f"table:{tabled.name}#top1", "latency": f"table:{tabled.name}#ms"}
    settings = ("search.batch=4", "search.options.population=4")
    with monkeypatch.context() as patch:
        patch.setattr(End, "reached", lambda self, trials: trials >= 8)  # as if the hour were over then
        ended = nas.run("toy.yaml", strategy="nsga2", n_trials=12, study_name="early", settings=settings, **tables,
                        timeout=3600)  # fmt: skip
    assert ended.facts["ended_early"] == ended.row.n_trials == 8
    storage = Storage()
    found = reproduce(storage, storage.study("early"), Silent(), space_file="toy.yaml")
    assert found.same and not found.facts, (found.trials, found.facts)
    again = storage.study("early-reproduced")
    assert again.n_trials == 8 and again.facts["ended_early"] == 8
    assert storage.study("t").facts["ended_early"] is None


def test_that_workers_answered_in_an_order_of_chance_is_told(tabled: Path) -> None:
    storage = Storage()
    study = storage.study("t")
    storage.add_facts(study.id, {"workers": spread(Workers("local", 3))})
    found = reproduce(storage, storage.study("t"), Silent(), space_file="toy.yaml")
    assert found.facts == (("workers", "3 of Ray, asynchronous", None),)


def test_what_differs_between_the_machines_is_listed(tabled: Path) -> None:
    storage = Storage()
    study = storage.study("t")
    storage.add_facts(study.id, {"versions": {**study.facts["versions"], "torch": "1.0"}, "threads": 99})
    found = reproduce(storage, storage.study("t"), Silent(), space_file="toy.yaml")
    assert found.same
    now = study.facts
    assert set(found.facts) == {
        ("versions: torch", "1.0", now["versions"]["torch"]),
        ("threads", 99, now["threads"]),
    }


def test_a_study_that_is_not_finished_or_whose_space_changed_is_refused(tabled: Path) -> None:
    storage = Storage()
    study = storage.study("t")
    Path("toy.yaml").write_text(TABLE.replace("4], b", "5], b"))
    with pytest.raises(NasError, match="no longer the one"):
        reproduce(storage, study, Silent(), space_file="toy.yaml")
    storage.set_state(study.id, "interrupted")
    with pytest.raises(NasError, match="only a finished one"):
        reproduce(storage, storage.study("t"), Silent(), space_file="toy.yaml")


def test_no_study_that_was_run_otherwise_passes_for_a_reproduction(tabled: Path) -> None:
    storage = Storage()
    study = storage.study("t")
    with pytest.raises(NasError, match="not compared with itself"):
        reproduce(storage, study, Silent(), name="t", space_file="toy.yaml")
    settings = {"accuracy": "table:measured.csv#top1", "latency": "table:measured.csv#ms"}
    nas.run("toy.yaml", strategy="random", n_trials=5, seed=9, study_name="other", **settings)
    with pytest.raises(NasError, match="seed: began with 9"):
        reproduce(storage, study, Silent(), name="other", space_file="toy.yaml")


class _Warnings(Silent):
    """Keeps what it is warned of."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        self.warnings.append(text)


def test_what_a_study_of_the_same_name_left_is_set_aside(tabled: Path) -> None:
    settings = {"accuracy": "table:measured.csv#top1", "latency": "table:measured.csv#ms"}
    folder, before, told = Path("nas-runs") / "fresh", list[bytes](), _Warnings()
    for number in range(3):
        storage = f"sqlite:///{number}.db"
        nas.run("toy.yaml", strategy="random", n_trials=3, study_name="fresh", storage=storage, reporter=told,
                **settings)  # fmt: skip
        (folder / "retrain").mkdir()
        (folder / "retrain" / "card.json").write_text(str(number))
        before.append((folder / "report.html").read_bytes())
    for number in range(2):
        aside = folder / f"old-{number + 1}"
        assert (aside / "report.html").read_bytes() == before[number]
        assert (aside / "retrain" / "card.json").read_text() == str(number)
    assert not (folder / "old-3").exists()
    held = f"{folder} held files of another study of that name; they are in"
    assert told.warnings == [f"{held} {folder / 'old-1'} now.", f"{held} {folder / 'old-2'} now."]
    with pytest.raises(NasError, match="exists already"):
        nas.run("toy.yaml", study_name="fresh", storage="sqlite:///2.db", **settings)
    assert (folder / "report.html").read_bytes() == before[2] and not (folder / "old-3").exists()


def test_a_study_killed_while_it_is_created_never_takes_what_lay_there_for_its_own(
    tabled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"accuracy": "table:measured.csv#top1", "latency": "table:measured.csv#ms"}
    create, folder = Storage.create_study, Path("nas-runs") / "t"

    def killed(self: Storage, *args: Any, **kwargs: Any) -> None:
        create(self, *args, **kwargs)
        raise KeyboardInterrupt

    monkeypatch.setattr(Storage, "create_study", killed)
    with pytest.raises(KeyboardInterrupt):
        nas.run("toy.yaml", study_name="t", storage="sqlite:///other.db", **settings)
    assert {entry.name for entry in folder.iterdir()} <= {".lock", "old-1"}
    assert (folder / "old-1" / "report.html").exists()
