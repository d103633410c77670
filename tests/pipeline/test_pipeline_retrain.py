"""Found architectures trained alone: the supernet's trainer on one network, resumed, stored beside the inherited."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

import nas
from nas.cli import app
from nas.data.files import ImageFile, ImageFiles
from nas.errors import NasError
from nas.pipeline.job import Interrupted
from nas.pipeline.load_data import LoadedData
from nas.pipeline.progress import Interrupt, Silent
from nas.pipeline.retraining import RetrainJob, prepare, retrain, store
from nas.pipeline.run import run
from nas.pipeline.training import load, study_folder
from nas.report.retraining import draw_retraining_loss, draw_retraining_rate, retraining_data
from nas.report.snapshot import read_snapshot
from nas.store import RETRAINING, Storage
from nas.supernet.checkpoint import Checkpointer
from nas.supernet.single import SingleSampler
from nas.supernet.supernet import Supernet
from nas.supernet.trainer import Trainer

SPACE = Path(__file__).parent / "small.yaml"
SMALL = (
    "threads=1", "train.steps=6", "train.batch=8", "train.resolution_scale=0.25", "train.checkpoint_every=4",
    "evaluate.recalibrate=1", "evaluate.final_recalibrate=1", "evaluate.images=32", "search.batch=2",
)  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a finished study, as the working directory."""
    folder, before = tmp_path_factory.mktemp("retrain"), Path.cwd()
    os.chdir(folder)
    try:
        run(SPACE, settings=SMALL, study_name="s", strategy="random", n_trials=2, device="pixel6",
            objectives=["accuracy:max", "latency:min"])  # fmt: skip
        yield folder
    finally:
        os.chdir(before)


def prepared(number: int = 0, start: Any = "scratch", *settings: str) -> tuple[RetrainJob, LoadedData]:
    study = nas.load_study("s")
    trial = next(row for row in study.storage.trials(study.row.id) if row.number == number)
    return prepare(study.row, dict(trial.arch), start, settings, str(SPACE))


def weights(job: RetrainJob) -> dict[str, torch.Tensor]:
    return load_file(job.folder / "retrained.safetensors")


class _Stops:
    """A reporter that asks to stop, or dies, at a step."""

    def __init__(self, at: int, interrupt: Interrupt | None) -> None:
        self.at, self.interrupt, self.done = at, interrupt, 0

    def say(self, text: str) -> None: ...

    def warn(self, text: str) -> None: ...

    @contextmanager
    def task(self, name: str, total: int, done: int = 0) -> Iterator[_Stops]:
        yield self

    def advance(self, text: str = "") -> None:
        self.done += 1
        if self.done == self.at:
            if self.interrupt is None:
                raise ConnectionError("killed")
            self.interrupt.asked = True


@pytest.mark.parametrize("killed", [True, False])
def test_resumed_equals_uninterrupted_bit_for_bit(killed: bool) -> None:
    job, data = prepared(0, "scratch", "train.mix=0.2", "train.ema=0.9")
    whole = retrain(job, data, Silent(), Interrupt(), overwrite=True)
    expected = weights(job)
    interrupt = Interrupt()
    with pytest.raises(ConnectionError if killed else Interrupted):
        retrain(job, data, _Stops(5, None if killed else interrupt), interrupt, overwrite=True)
    assert not (job.folder / "retrained.json").exists()
    again, data = prepared(0, "scratch", "train.mix=0.2", "train.ema=0.9")
    resumed = retrain(again, data, Silent(), Interrupt(), resume=True)
    found = weights(again)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert resumed.accuracy == whole.accuracy and resumed.card == whole.card
    assert {file.name for file in job.folder.iterdir()} == {
        "begun.json", "retrained.json", "retrained.safetensors"
    }  # fmt: skip


def test_the_supernets_trainer_does_to_one_network_what_it_does_to_the_largest_subnet(tmp_path: Path) -> None:
    job, data = prepared(0, "scratch", "train.lr=0.001", "train.warmup=0")
    space, settings = job.plan.space, job.plan.settings
    supernet = Supernet(space, data.classes, resolution_scale=0.25, seed=3)
    sizes = [[len(decision) - 1 for decision in space.decisions]]
    largest = space.repair(space.decode(sizes))[0]
    initial = supernet.extract(largest).state_dict()
    alone = RetrainJob(job.plan, largest, "inherited", initial).trainer(data)
    alone.checkpoints = Checkpointer(tmp_path / "alone")
    shared = Trainer(
        supernet,
        data.training(8),
        settings.train,
        SingleSampler(largest),
        seed=0,
        folder=Checkpointer(tmp_path / "shared"),
    )
    losses = [[report.loss for report in trainer.steps()] for trainer in (alone, shared)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    trained, one = supernet.extract(largest).state_dict(), alone.supernet.network.state_dict()
    moved = sum(float((trained[name] - initial[name]).norm()) for name in initial)
    apart = sum(float((trained[name] - one[name]).norm()) for name in initial)
    assert moved > 0.1 and apart < 1e-2 * moved


def test_inherited_weights_are_those_of_the_supernet() -> None:
    job, data = prepared(1, "inherited")
    network = job.trainer(data).supernet.eval()
    supernet = load(job.plan, study_folder("s"), data).supernet.eval()
    images = torch.randn(4, 3, 32, 32)
    with torch.no_grad():
        assert torch.allclose(network(images, job.arch), supernet(images, job.arch), atol=1e-5)


def test_weights_of_another_resolution_are_not_inherited() -> None:
    with pytest.raises(NasError, match="resolution_scale"):
        prepared(0, "inherited", "train.resolution_scale=0.5")


def test_the_accuracy_is_stored_and_is_that_of_the_weights() -> None:
    job, data = prepared(1, "scratch", "train.steps=4")
    done = retrain(job, data, Silent(), Interrupt(), overwrite=True)
    study = nas.load_study("s")
    store(Storage(), study.row, [1], done)
    found = next(row for row in study.storage.trials(study.row.id) if row.number == 1)
    metric = found.at("retrained")["accuracy"]
    assert metric.provenance == "measured" and metric.detail == "digits test split, retrained from scratch"
    assert found.metrics["accuracy"].detail == "digits search split, inherited weights"
    network = job.network(data, weights(job)).eval()
    with torch.no_grad():
        right = [(network(x).argmax(1) == y) for x, y in data.evaluation("test", 16, 0)]
    assert metric.value == pytest.approx(float(torch.cat(right).float().mean()))


def test_the_teacher_of_the_recipe_teaches() -> None:
    plain, data = prepared(0, "scratch")
    by_name, _ = prepared(0, "scratch", "train.teachers=[test_pipeline_retrain:first_class]")
    with pytest.raises(NasError, match=r"unknown teacher 'test_pipeline_retrain:first_class'.*--plugin"):
        by_name.trainer(data)
    nas.load_plugin(__name__)
    taught, _ = prepared(0, "scratch", "train.teachers=[test_pipeline_retrain:first_class]")
    trainers = [job.trainer(data) for job in (plain, taught)]
    reports = [next(trainer.steps()) for trainer in trainers]
    assert len(trainers[1].teachers) == 1 and reports[0].loss != reports[1].loss


def first_class() -> torch.nn.Module:
    """A teacher that is sure of class 0."""
    return _FirstClass()


class _FirstClass(torch.nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.one_hot(torch.zeros(len(images), dtype=torch.long), 10).float()


def test_what_is_there_is_kept_and_what_differs_is_told() -> None:
    job, data = prepared(0, "scratch", "train.steps=4")
    first = retrain(job, data, Silent(), Interrupt(), overwrite=True)
    kept = first.weights.read_bytes()
    with pytest.raises(NasError, match="holds a finished retraining from scratch"):
        retrain(job, data, Silent(), Interrupt())
    other, _ = prepared(0, "scratch", "train.steps=4", "train.lr=0.01")
    with pytest.raises(NasError, match=r"begun with settings\.train\.lr"):
        retrain(other, data, Silent(), Interrupt(), resume=True)
    image = Path("images") / "0.png"
    image.parent.mkdir()
    image.write_bytes(b"another picture")
    changed = replace(
        data, bundle=replace(data.bundle, files=ImageFiles(image.parent, [ImageFile(image, 0, 15)]))
    )
    with pytest.raises(NasError, match=r"begun with content '', not '[0-9a-f]{16}'"):
        retrain(job, changed, Silent(), Interrupt(), resume=True)
    assert retrain(job, data, Silent(), Interrupt(), resume=True) == first
    assert first.weights.read_bytes() == kept


def test_epochs_take_the_place_of_the_studys_steps() -> None:
    job, data = prepared(0, "scratch", "train.epochs=2", "train.batch=100", "train.cooldown_epochs=0")
    assert job.steps(data) == 2 * (data.count("train") // 100)


def test_commands_that_cannot_be_obeyed_are_explained() -> None:
    cli = CliRunner()
    job, data = prepared(1, "scratch", "train.steps=1")
    retrain(job, data, Silent(), Interrupt(), overwrite=True)
    for arguments, words in (
        (["s/0", "--space", "nowhere.yaml"], "nowhere.yaml"),
        (["s/0", "--set", "search.n_trials=3", "--space", str(SPACE)], "it reads train"),
        (["s/0", "--set", "train.sampler.name=uniform", "--space", str(SPACE)], "it reads train"),
        (["s/0", "--resume", "--overwrite"], "give one of them"),
        (["s/99"], "no trial 99"),
        (["s/1", "--resume", "--from", "inherited", "--space", str(SPACE)], "start"),
    ):
        result = cli.invoke(app, ["retrain", *arguments])
        assert isinstance(result.exception, NasError) and words in str(result.exception), arguments
    presets = nas.load_study("s")
    preset = presets.storage.presets(presets.row.id)[0]
    result = cli.invoke(app, ["retrain", preset.arch_id])
    trials = {row.arch_id for row in presets.storage.trials(presets.row.id)}
    assert preset.arch_id in trials or "is a preset" in str(result.exception)


def test_ctrl_c_saves_and_prints_the_command_that_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["retrain", "s/1", "--overwrite", "--set", "train.steps=6", "--space", str(SPACE), "-q"]
    cli, steps = CliRunner(), Trainer.steps

    def pressed(self: Trainer[Any]) -> Iterator[Any]:
        for report in steps(self):
            if self.step == 3:
                signal.raise_signal(signal.SIGINT)
            yield report

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "steps", pressed)
        patch.setattr(sys, "argv", ["nas", *arguments])
        stopped = cli.invoke(app, arguments)
    assert stopped.exit_code == 130, stopped.output
    study = nas.load_study("s")
    arch_id = next(row.arch_id for row in study.storage.trials(study.row.id) if row.number == 1)
    assert [step for step, _ in study.storage.series(study.row.id, RETRAINING + arch_id)] == [0, 1, 2]
    again = shlex.split(stopped.output.strip().splitlines()[-1])
    assert again[0] == "nas" and "--resume" in again and "--overwrite" not in again
    went_on = cli.invoke(app, again[1:])
    assert went_on.exit_code == 0 and "accuracy" in went_on.output, went_on.output
    points = study.storage.series(study.row.id, RETRAINING + arch_id)
    assert [step for step, _ in points] == list(range(6))
    assert all(data["loss"] > 0 and data["lr"] > 0 and not data["skipped"] for _, data in points)
    data = retraining_data(read_snapshot(study.storage, "s"))
    shown = next(one for one in data if one.arch_id == arch_id)
    assert shown.line.loss.tolist() == [point["loss"] for _, point in points]
    assert len(draw_retraining_loss(data).data) == len(draw_retraining_rate(data).data) == len(data)


def test_a_shorter_retraining_leaves_nothing_of_a_longer_ones_series() -> None:
    study = nas.load_study("s")
    for steps in (3, 2):
        job, data = prepared(0, "scratch", f"train.steps={steps}")
        retrain(job, data, Silent(), Interrupt(), storage=Storage(), overwrite=True)
        assert [step for step, _ in study.storage.series(study.row.id, job.series)] == list(range(steps))


def test_the_command_trains_and_tells() -> None:
    command = ["retrain", "s/0", "--overwrite", "--from", "inherited", "-f", "json", "-q"]
    result = CliRunner().invoke(app, [*command, "--space", str(SPACE), "--set", "train.steps=2"])
    assert result.exit_code == 0, result.output
    assert '"detail": "digits test split, retrained from inherited"' in result.stdout
    assert (
        '"detail": "digits search split, inherited weights"' in result.stdout or "test split" in result.stdout
    )
