"""Weights from elsewhere through the commands: export for timm, retraining, going on, sweeps, other processes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

import nas
from nas.cli import app
from nas.pipeline.load_data import load_run_data
from nas.pipeline.progress import Silent, Task
from nas.pipeline.run import planned, run
from nas.pipeline.training import SupernetJob
from nas.plugins.carried import Carried
from nas.scale.sweep_file import load_sweep, members
from nas.supernet.network import build
from nas.weights.initial import initial_of_network, weights_of
from nas.weights.writing import timm_state

SPACE = str(Path(__file__).parent / "little.yaml")
SMALL = (
    "threads=1", "train.steps=4", "train.batch=4", "train.resolution_scale=0.25", "train.checkpoint_every=2",
    "train.conflict_every=0", "evaluate.recalibrate=1", "evaluate.final_recalibrate=1", "evaluate.images=32",
)  # fmt: skip
SET = [part for item in SMALL for part in ("--set", item)]


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A working directory with the weights of a preset for ten classes, and a study."""
    folder, before = tmp_path_factory.mktemp("commands"), Path.cwd()
    os.chdir(folder)
    try:
        space = nas.load_space(SPACE)
        network = build(space, space.presets["XS"], num_classes=10, seed=3)
        save_file(timm_state(network, space.name), "xs.safetensors")
        asked = ["--strategy", "random", "--n-trials", "4", "--study-name", "own", "--set", "search.batch=2"]
        call("run", SPACE, "-q", *SET, *asked)
        yield folder
    finally:
        os.chdir(before)


def call(*words: str, code: int = 0) -> str:
    answer = CliRunner().invoke(app, list(words))
    assert answer.exit_code == code, (answer.output, answer.exception)
    return answer.output if code == 0 else answer.output + str(answer.exception)


def test_a_trial_is_exported_under_timms_names_and_retrained_from_that() -> None:
    printed = call("export", "own/0", "--names", "timm")
    assert 'loaded by timm.create_model("efficientformerv2_s0", depths=(1, ' in printed
    (file,) = Path("nas-runs/own/export").glob("*/*-timm.safetensors")
    with safe_open(file, framework="pt") as opened:
        metadata = opened.metadata()
    trial = nas.load_study("own").storage.trials(nas.load_study("own").row.id)[0]
    assert metadata["nas.space"] == "little" and json.loads(metadata["nas.arch"]) == dict(trial.arch)
    assert json.loads(metadata["timm.arguments"])["img_size"] == 56
    assert "stages.3.downsample.attn.attention_biases" in load_file(file)
    assert "--names writes" in call("export", "own/0", "--names", "timm", "--format", "torch-export", code=1)
    retrained = json.loads(call("retrain", "own/0", "--init", str(file), "-q", "-f", "json"))
    assert retrained["init"]["weights"] == file.name and "before" in retrained
    fates = (Path("nas-runs/own/retrain") / trial.arch_id / "initial-weights.txt").read_text().splitlines()
    assert fates and all(line.startswith("taken ") for line in fates)


def test_a_preset_retrained_from_a_file_is_exported() -> None:
    preset = f"{SPACE}:XS"
    assert "nas retrain" in call("export", preset, "--names", "timm", code=1)
    assert "no retrained weights" in call("export", preset, "--weights", "retrained", code=1)
    call("retrain", preset, "--init", "xs.safetensors", "-q", *SET)
    again = call("retrain", preset, "--init", "xs.safetensors", "-q", "--resume", *SET)
    assert "retrained from xs.safetensors" in again
    assert "begun with start 'xs.safetensors'" in call("retrain", preset, "-q", "--resume", *SET, code=1)
    printed = call("export", preset, "--weights", "retrained", "--names", "timm")
    assert "retrained from the weights of `xs.safetensors`" in printed
    call("export", preset, "--weights", "retrained", "--format", "torch-export")
    (card,) = Path("nas-runs/little-XS/export").glob("*-retrained/*.md")
    assert "`xs.safetensors` (SHA-256" in card.read_text()


class _Dies(Silent):
    """Ends the training as a kill would, after as many steps."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    @contextmanager
    def task(self, name: str, total: int, done: int = 0) -> Iterator[Task]:
        yield _Step(self)


class _Step(Task):
    def __init__(self, owner: _Dies) -> None:
        self.owner = owner

    def advance(self, note: str = "") -> None:
        self.owner.steps -= 1
        if self.owner.steps < 0:
            raise ConnectionError("killed")


def test_a_run_that_began_with_weights_goes_on_as_if_it_had_not_stopped() -> None:
    def begun(name: str, reporter: Silent | None = None, resume: bool = False) -> dict[str, torch.Tensor]:
        run(SPACE, settings=(*SMALL, "search.batch=2"), study_name=name, strategy="random", n_trials=2,
            init="xs.safetensors", reporter=reporter, resume=resume)  # fmt: skip
        return load_file(Path("nas-runs") / name / "supernet.safetensors")

    whole = begun("whole")
    with pytest.raises(ConnectionError):
        begun("stopped", _Dies(3))
    assert not Path("nas-runs/stopped/supernet.safetensors").exists()
    resumed = begun("stopped", resume=True)
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(tensor, resumed[name]) for name, tensor in whole.items())
    values = [
        nas.load_study(name).trials().drop(columns="wall_s", errors="ignore") for name in ("whole", "stopped")
    ]
    assert values[0]["accuracy"].tolist() == values[1]["accuracy"].tolist()
    with pytest.raises(nas.NasError, match="init"):
        run(SPACE, settings=(*SMALL, "search.batch=2"), study_name="whole", strategy="random", n_trials=2,
            resume=True)  # fmt: skip


def test_a_sweeps_studies_begin_with_the_weights_it_names(tmp_path: Path) -> None:
    text = (
        f"version: 1\nname: given\nrun: {{init: xs.safetensors, n_trials: 2}}\ngrid: {{space: ['{SPACE}']}}\n"
    )
    (tmp_path / "sweep.yaml").write_text(text)
    (member,) = members(load_sweep(tmp_path / "sweep.yaml"))
    plan, _ = planned(**member.arguments, study_name=member.name)
    assert plan.init is not None and plan.init.network == "XS"
    before, kept = member.digest, Path("xs.safetensors").read_bytes()
    try:
        Path("xs.safetensors").write_bytes(kept + b" ")
        assert member.digest != before
    finally:
        Path("xs.safetensors").write_bytes(kept)


def test_other_processes_begin_with_the_same_weights() -> None:
    plan, _ = planned(SPACE, settings=SMALL, study_name="carried", init="xs.safetensors")
    data, job = load_run_data(plan), SupernetJob(plan)
    carried = Carried.of(job.portable()).open()
    here, there = (each.trainer(data).supernet.state_dict() for each in (job, carried))
    assert all(torch.equal(tensor, there[name]) for name, tensor in here.items())
    given = plan.init.given.state["S2.0.conv_ffn"]["expand_weight"] if plan.init else torch.empty(0)
    assert torch.equal(here["layers.S2_0_conv_ffn.expand_weight"], given)


def test_tables_of_distances_are_cut_for_a_smaller_map() -> None:
    space = nas.load_space(SPACE)
    small = build(space, space.presets["XS"], num_classes=10, seed=0, scale=0.25)
    initial = initial_of_network(space, space.presets["XS"], "xs.safetensors", "XS")
    rows = {row.ours: row for row in initial.put_into(small)}
    row = rows["S4.0.attention4d.distance_bias"]
    assert row.fate == "cut" and row.given[1:] == (7, 7) and row.here[1:] == (2, 2)
    given = initial.given.state["S4.0.attention4d"]["distance_bias"]
    assert torch.equal(weights_of(small)["S4.0.attention4d"]["distance_bias"], given[:, :2, :2])


def test_positions_are_interpolated_for_another_map(tmp_path: Path) -> None:
    space = nas.load_space("turbovit")
    arch = space.presets["Hiera-T"]
    network = build(space, arch, num_classes=10, seed=1)
    save_file(timm_state(network, space.name), tmp_path / "hiera.safetensors")
    half = build(space, arch, num_classes=10, seed=0, scale=4 / 7)
    rows = initial_of_network(space, arch, str(tmp_path / "hiera.safetensors"), "Hiera-T").put_into(half)
    (row,) = [row for row in rows if row.fate != "taken"]
    assert (row.fate, row.theirs, row.given, row.here) == ("resized", "pos_embed", (96, 56, 56), (96, 32, 32))
    theirs = load_file(tmp_path / "hiera.safetensors")["pos_embed"].reshape(1, 56, 56, 96).permute(0, 3, 1, 2)
    expected = F.interpolate(theirs, size=(32, 32), mode="bicubic", antialias=True)[0]
    assert torch.equal(weights_of(half)["embed.0.patch_embed"]["position"], expected)


@pytest.mark.parametrize("stored", [True, False])
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("efficientform:L1", "unknown space 'efficientform'. Did you mean 'efficientformer'?"),
        ("efficientformer:L9", "unknown preset 'L9'."),
        (
            "efficientformer",
            "'efficientformer' is a space; name one of its presets, efficientformer:L1 (it has L1, L3",
        ),
        ("efficientformer/L1", "the preset of the space 'efficientformer' is efficientformer:L1."),
        (":L1", "the name of a space is empty"),
        ("nowhere.yaml:L1", "nowhere.yaml: no such file"),
    ],
)
def test_a_preset_that_is_not_there_is_told_as_one(
    name: str, words: str, stored: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Also where no study was ever made, so that there is no storage."""
    file = str(Path("xs.safetensors").resolve())
    if not stored:
        monkeypatch.chdir(tmp_path)
    assert words in call("evaluate", name, "--init", file, code=1)
    assert words in call("retrain", name, "--init", file, code=1)
    assert words in call("export", name, "--weights", "retrained", code=1)


def test_a_trial_that_is_not_there_is_told_as_before() -> None:
    assert "SPACE:PRESET, e.g. efficientformer:L1" in call(
        "evaluate", "own/0", "--init", "xs.safetensors", code=1
    )
    assert "has no trial 99" in call("retrain", "own/99", code=1)
    assert "no architecture 'efficient'" in call("export", "efficient", code=1)
