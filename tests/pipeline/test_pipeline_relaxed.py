"""Whole runs with relaxed supernets: trained, slimmed by importance, stopped, resumed, used again."""

from __future__ import annotations

import pickle
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import nas
from nas.errors import NasError
from nas.pipeline.facts import deviations
from nas.pipeline.progress import Silent
from nas.pipeline.run import planned, run
from nas.pipeline.training import Interrupted, SupernetJob
from nas.pipeline.verdicts import sampler_warnings
from nas.settings import make_settings
from nas.supernet.trainer import Trainer

ROOT = Path(__file__).parents[2]
SPACE = """
version: 1
name: operators
input: {resolution: 64, classes: 10}
stages:
  stem: {block: conv_norm, stride: 2, width: A.width, kernel: 3, act: relu}
  A:
    block: {values: [identity, mb4d], per: block}
    depth: 3
    width: [4, 8]
  B:
    block: {values: [identity, mb4d, mb3d], per: block}
    stride: 2
    downsample: {block: conv_norm, kernel: 3}
    depth: 3
    width: [8, 12, 16]
    heads: 2
    qk_dim: 4
  head: {block: dual_head}
rules:
  - A.block[0] != 'identity' and B.block[0] != 'identity'
  - >-
    (B.block[0] != 'mb3d' or B.block[1] != 'mb4d') and (B.block[1] != 'mb3d' or B.block[2] != 'mb4d')
recipes:
  embedded:
    train: {sampler: {name: relaxed, subnets: 1}}
    search: {strategy: slimming, options: {actions: importance}}
"""
SMALL = (
    "threads=1", "train.steps=6", "train.batch=8", "train.resolution_scale=0.125", "train.checkpoint_every=2",
    "train.conflict_every=0", "evaluate.recalibrate=1", "evaluate.final_recalibrate=1", "evaluate.images=32",
    "search.batch=4",
)  # fmt: skip


@pytest.fixture
def space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "operators.yaml"
    path.write_text(SPACE)
    return path


def course(name: str) -> list[dict[str, Any]]:
    study = nas.load_study(name)
    return [data for _, data in study.storage.series(study.row.id, "course")]


def test_a_run_is_resumed_to_the_same_walk(space: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(space, settings=SMALL, study_name="whole", constraints=["macs<=0.6M"], n_trials=100)
    steps = course("whole")
    costs = [step["cost"] for step in steps]
    assert len(steps) > 3 and costs[-1] <= 6e5 < costs[-2]
    assert all(before > after for before, after in pairwise(costs))
    facts = nas.load_study("whole").row.facts
    assert 0 < facts["sampler"]["identity"] < 0.9 and facts["sampler"]["temperature"] == pytest.approx(0.5)

    steps_of = Trainer.steps

    def stopped(self: Trainer) -> Any:
        for report in steps_of(self):
            yield report
            if self.step == 5:
                raise Interrupted

    monkeypatch.setattr(Trainer, "steps", stopped)
    with pytest.raises(KeyboardInterrupt):
        run(space, settings=SMALL, study_name="stopped", constraints=["macs<=0.6M"], n_trials=100)
    monkeypatch.setattr(Trainer, "steps", steps_of)
    run(space, settings=SMALL, study_name="stopped", constraints=["macs<=0.6M"], n_trials=100, resume=True)
    assert course("stopped") == steps

    other = (*SMALL, "train.sampler.name=uniform")
    run(space, settings=other, study_name="again", supernet="whole", constraints=["macs<=0.6M"], n_trials=100)
    assert course("again") == steps
    run(space, settings=SMALL, study_name="other", supernet="whole", strategy="random", n_trials=4)
    assert len(nas.load_study("other").trials()) == 4


def test_a_supernet_without_logits_is_refused_before_there_is_a_study(space: Path) -> None:
    plain = [*SMALL, "train.sampler.name=uniform", "train.steps=2"]
    run(space, settings=plain, study_name="plain", strategy="random", n_trials=4)
    before = Path("nas.db").read_bytes()
    with pytest.raises(NasError, match=r"sampler\.name=relaxed; .*actions=all.* study 'plain' was not"):
        run(space, settings=SMALL, study_name="slim", supernet="plain", constraints=["macs<=0.6M"])
    assert Path("nas.db").read_bytes() == before and not Path("nas-runs/slim").exists()
    everything = [*SMALL, "search.options.actions=all"]
    run(space, settings=everything, study_name="slim", supernet="plain", constraints=["macs<=2M"])
    with pytest.raises(NasError, match="no trained supernet there"):
        run(space, settings=SMALL, study_name="other", supernet="nobody", constraints=["macs<=0.6M"])
    assert [study.name for study in nas.load_study("plain").storage.studies()] == ["plain", "slim"]


def test_what_a_relaxed_run_needs(space: Path) -> None:
    with pytest.raises(NasError, match="nothing to relax"):
        run(Path(__file__).with_name("small.yaml"), settings=["train.sampler.name=relaxed"])
    with pytest.raises(NasError, match="name one with --device"):
        run(space, settings=["train.relaxed.latency=0.1"])
    with pytest.raises(NasError, match=r"sampler\.name=relaxed"):
        planned(space, settings=[*SMALL, "train.sampler.name=uniform"], study_name="plain")


def test_other_processes_are_handed_the_device_whose_latency_is_weighed(space: Path) -> None:
    def job(*more: str) -> SupernetJob:
        return SupernetJob(planned(space, device="pixel6", settings=[*SMALL, *more])[0])

    whole = job("train.relaxed.latency=0.5")
    there = pickle.loads(pickle.dumps(whole.portable()))  # noqa: S301
    here, other = (one.trainer(whole.data()).latency for one in (whole, there))
    assert here is not None and other is not None and here.whole == other.whole > 0
    assert not job().portable().plan.metrics.devices


class Heard(Silent):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def warn(self, text: str) -> None:
        self.said.append(f"warning: {text}")


def test_a_collapse_to_identity_is_said() -> None:
    heard = Heard()
    assert sampler_warnings({"identity": 0.3, "temperature": 0.5}, heard) == []
    assert "30%" in heard.said[0] and len(heard.said) == 1
    (warning,) = sampler_warnings({"identity": 0.85, "temperature": 0.5}, heard)
    assert "collapsed to identity" in warning and heard.said[-1].startswith("warning")


def test_another_strategy_does_not_inherit_options() -> None:
    layer = {"search": {"strategy": "slimming", "options": {"step": 4}}}
    kept = make_settings("embedded", [layer], ["search.options.rule=mes"]).search
    assert kept.options == {"step": 4, "rule": "mes"}
    other = make_settings(
        "embedded", [layer], ["search.options.population=20", "search.strategy=nsga2"]
    ).search
    assert other.options == {"population": 20}


def test_deviations_are_from_the_papers_own_recipe() -> None:
    space = nas.load_space(ROOT / "spaces" / "efficientformer.yaml")
    settings = make_settings("embedded", [space.recipes["embedded"]])
    found = {key: (paper, here) for key, paper, here, _ in deviations(settings, space)}
    assert "train.sampler.name" not in found and "train.sampler.subnets" not in found
    assert found["train.steps"] == ("300 epochs", 110) and "train.relaxed.lr" in found
    assert not any("banks" in key for key in found)
    assert all(why for key, _, _, why in deviations(settings, space) if not key.startswith("train.sampler"))
