"""The commands beside an architecture: they are of its own study, only those that apply, and they run."""

from __future__ import annotations

import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from dashboard_small import ACCURACY, LATENCY, NAME, SPACE, make, record
from typer.testing import CliRunner

import nas
from nas.cli import app
from nas.dashboard import commands
from nas.dashboard.applying import means_of
from nas.dashboard.choice import find
from nas.dashboard.commands import Means, Weights
from nas.dashboard.finding import Finder
from nas.dashboard.network_panel import applying
from nas.report.candidates import Candidate
from nas.report.snapshot import read_snapshot
from nas.store import Storage, TrialRecord

URL = "sqlite:///nas.db"
TRIAL = Candidate("trial 3", 3, "ab12", {}, {})
PRESET = Candidate("L 1", None, "cd34", {}, {})


@pytest.fixture
def folder(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the finished study, as the working directory."""
    shutil.copytree(finished, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    return tmp_path / "copy"


def run(line: str) -> str:
    words = shlex.split(line)
    done = CliRunner().invoke(app, words[1:])
    assert done.exit_code == 0, (line, done.output)
    return done.stdout


def told(finder: Finder, study: str, key: str) -> list[str]:
    snapshot = read_snapshot(Storage(URL, read_only=True), study)
    candidate = find(snapshot, key)
    assert candidate is not None
    return applying(finder, snapshot.study, candidate, URL)


@pytest.mark.parametrize("study", ["plain", "it's; rm -rf /", "-x", NAME, "a b"])
def test_commands_survive_a_shell(study: str) -> None:
    means = Means(("", "-own"), "my space.yaml")
    for line in commands.of_study(study, means, "sqlite:///my file.db"):
        words = shlex.split(line)
        assert words[0] == "nas"
        assert words[words.index("--storage") + 1] == "sqlite:///my file.db"
        if f"--study={study}" not in words:
            assert words[-1] == study
            assert (words[-2] == "--") == study.startswith("-")
    for candidate, name in ((TRIAL, f"{study}/3"), (PRESET, f"{study}/L 1")):
        for line in commands.of_arch(study, candidate, means, Weights(True, True), None):
            words = shlex.split(line)
            assert words[0] == "nas"
            assert words[-1] == name
            assert (words[-2] == "--") == study.startswith("-")


def test_only_what_applies() -> None:
    def verbs(candidate: Candidate, means: Means | None, weights: Weights) -> list[str]:
        return [
            " ".join(shlex.split(line)[1:-1])
            for line in commands.of_arch("s", candidate, means, weights, None)
        ]

    everything = Weights(inherited=True, retrained=True)
    assert verbs(TRIAL, None, everything) == verbs(PRESET, None, everything) == ["show"]
    assert verbs(TRIAL, Means(), Weights()) == ["show", "retrain"]
    assert verbs(TRIAL, Means(), Weights(begun=True)) == ["show"]
    assert verbs(TRIAL, Means(("a", "b")), Weights(inherited=True)) == [
        "show", "measure --device=a", "measure --device=b", "retrain", "export",
    ]  # fmt: skip
    assert verbs(PRESET, Means(("",), "f.yaml"), everything) == [
        "show", "export --space=f.yaml", "export --weights=retrained --space=f.yaml",
    ]  # fmt: skip
    assert [line for line in commands.of_study("s", None, None) if "measure" in line] == []
    assert "nas measure --study=s" in commands.of_study("s", Means(("",)), None)


def test_a_preset_that_would_be_read_as_something_else_is_named_by_its_id() -> None:
    assert commands.name_of("s", PRESET) == "s/L 1"
    for name in ("12", "a/b"):
        assert commands.name_of("s", replace(PRESET, name=name)) == "cd34"


def test_the_commands_of_a_trial_run_and_act_on_its_own_study(folder: Path) -> None:
    storage = Storage(URL)
    first = storage.study(NAME)
    trials = {trial.number: trial for trial in storage.front(first.id)}
    number, trial = next(iter(trials.items()))
    second = storage.create_study(
        "second",
        space=first.space,
        space_hash=first.space_hash,
        objectives=[ACCURACY, LATENCY],
        config={**first.config, "supernet": NAME},
        facts=first.facts,
    )
    storage.add_trials(second.id, [TrialRecord(trial.arch_id, trial.arch, 0, "complete", trial.metrics)])
    lines = told(Finder([SPACE]), "second", "trial:0")
    assert [line.split()[1] for line in lines] == ["show", "retrain", "export"]
    assert all(shlex.split(line)[-1] == "second/0" for line in lines)
    show, retrain, export = lines
    assert trial.arch_id in run(show)
    assert "accuracy" in run(retrain)
    assert "model card" in run(export)
    assert storage.trials(second.id)[0].at("retrained")
    assert not storage.trials(first.id)[number].at("retrained")
    again = told(Finder([SPACE]), "second", "trial:0")
    assert [shlex.split(line)[1:3] for line in again[1:]] == [
        ["export", f"--space={SPACE}"],
        ["export", "--weights=retrained"],
    ]
    assert "model card" in run(again[2])


def test_the_commands_of_a_preset_run(folder: Path) -> None:
    show, export = told(Finder(), NAME, "preset:least")
    assert f"{NAME}: preset least" in run(show)
    assert "model card" in run(export)
    assert list((folder / "nas-runs").glob("*/export/*/*.onnx"))


def test_the_commands_of_a_study_run(folder: Path) -> None:
    study = Storage(URL, read_only=True).study(NAME)
    lines = commands.of_study(NAME, means_of(Finder(), study), URL)
    # pixel6 is a published table, so nothing can be timed on it
    assert [line.split()[1] for line in lines] == ["study", "front", "report", "reproduce"]
    for line in lines[:3]:
        run(line)


def test_a_device_that_was_profiled_is_timed(folder: Path) -> None:
    own = folder / "devices" / "own"
    shutil.copytree(nas.load_device("pixel6").folder, own)
    device = own / "device.yaml"
    device.write_text(device.read_text().replace("name: pixel6", "name: own"))
    (own / "profiling.json").write_text("{}")
    study = Storage(URL, read_only=True).study(NAME)

    def devices(*names: str) -> tuple[str, ...]:
        means = means_of(Finder(), replace(study, config={**study.config, "devices": list(names)}))
        assert means is not None
        return means.devices

    assert devices("own") == ("",)
    assert devices("pixel6", "own", "gone") == ("own",)
    assert devices("pixel6") == devices() == ()


def test_a_table_of_architectures_can_only_be_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    storage, space = Storage(URL), nas.load_space("nasbench201")
    row = storage.create_study(
        "cells",
        space=space.name,
        space_hash=space.hash,
        objectives=[ACCURACY, LATENCY],
        config={"devices": []},
    )
    arch = space.sample(1, seed=0)[0]
    storage.add_trials(
        row.id, [TrialRecord(arch.id, dict(arch.values), 0, "complete", record(0, 0.5, 1.0).metrics)]
    )
    [show] = told(Finder(), "cells", "trial:0")
    assert arch.id in run(show)


def test_a_space_that_is_gone_leaves_what_needs_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    storage = Storage(URL)
    study = make(storage)
    storage.add_trials(study, [record(0, 0.5, 1.0)])
    assert told(Finder(), "small", "trial:0") == [f"nas show --storage {URL} small/0"]
    assert means_of(Finder(), storage.study("small")) is None


def test_names_that_lead_nowhere_are_told(folder: Path) -> None:
    for name, why in (
        ("small/9", "study 'small' has no trial 9; its trials are 0 … 4"),
        ("small/Q", "'Q' is neither a trial's number nor a preset; its presets are P"),
        ("nothing/0", "unknown study 'nothing'"),
        ("small/99999999999999999999", "study 'small' has no trial 99999999999999999999"),
    ):
        done = CliRunner().invoke(app, ["show", name])
        assert done.exit_code != 0
        assert why in f"{done.output} {done.exception}".replace("\n", " ")
