"""A generative run on a real supernet: stopped half way and resumed, drawn, and its generator used afterwards."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import nas
from nas.cli import app
from nas.errors import NasError
from nas.pipeline.generating import generate
from nas.pipeline.progress import Silent
from nas.pipeline.run import run
from nas.pipeline.search_state import with_log
from nas.pipeline.searching import Search
from nas.report.generator import generator_data, ranked
from nas.report.snapshot import read_snapshot
from nas.store import RETRAINING, Storage

SPACE = Path(__file__).with_name("small.yaml")
SMALL = (
    "threads=1", "train.steps=6", "train.batch=8", "train.resolution_scale=0.25", "train.checkpoint_every=6",
    "evaluate.recalibrate=1", "evaluate.final_recalibrate=1", "evaluate.images=32", "evaluate.stimuli=8",
    "search.batch=8",
)  # fmt: skip


def search(name: str, **more: Any) -> nas.study.Study:
    return run(
        SPACE,
        settings=SMALL,
        study_name=name,
        strategy="generative",
        n_trials=24,
        constraints=["macs<=8M"],
        **more,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the finished study `whole`."""
    place = tmp_path_factory.mktemp("generative")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        search("whole")
    return place


@pytest.fixture(autouse=True)
def _there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(folder)
    yield


def course(name: str) -> list[dict[str, Any]]:
    study = nas.load_study(name)
    return [data for _, data in study.storage.series(study.row.id, "generator")]


def test_the_course_is_kept_and_drawn() -> None:
    steps = course("whole")
    assert [step["evaluated"] for step in steps] == [1, 9, 17, 24]  # a preset first
    trials = nas.load_study("whole").trials().set_index("arch_id")
    score = 20 * nas_log10(trials)
    assert steps[-1]["best"] == pytest.approx(float(score.max()))
    assert steps[-1]["arch_id"] == score.idxmax()
    assert trials["macs"].max() <= 8e6
    view = generator_data(read_snapshot(Storage(None, read_only=True), "whole"))
    assert view is not None and view.skill is not None and view.probed > 24
    assert {one.name for one in ranked(view)} == {d.name for d in nas.load_space(SPACE).decisions}
    assert {"loss", "C1.rank", "T1.entropy", "T1.saliency"} <= set(view.responses)
    report = Path("nas-runs/whole/report.html").read_text()
    assert "What the generator learned" in report and "The inquisitor probed" in report


def nas_log10(trials: Any) -> Any:
    """log10 of NetScore's fraction of accuracy above chance, from the stored metrics of ten classes."""
    import numpy as np

    fraction = (100 * ((trials["accuracy"] - 0.1) / 0.9).clip(lower=1e-4)) ** 2
    return np.log10(fraction / ((trials["params"] / 1e6) ** 0.5 * (trials["macs"] / 1e9) ** 0.5))


def test_stopped_and_resumed_it_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    learn, told = Search.learn, []

    def stop(self: Search, *arguments: Any) -> None:
        learn(self, *arguments)
        told.append(1)
        if len(told) == 2:
            raise NasError("stopped")

    monkeypatch.setattr(Search, "learn", stop)
    with pytest.raises(NasError, match="stopped"):
        search("resumed", supernet="whole")
    monkeypatch.setattr(Search, "learn", learn)
    search("resumed", supernet="whole", resume=True)
    assert course("resumed") == course("whole")
    trials = [nas.load_study(name).trials()["arch_id"].tolist() for name in ("whole", "resumed")]
    assert trials[0] == trials[1]


def test_without_the_inquisitor_nothing_is_probed() -> None:
    blind = run(
        SPACE, settings=[*SMALL, "search.options.probes=0"], study_name="blind", strategy="generative",
        n_trials=8, supernet="whole", report=True,
    )  # fmt: skip
    step = course("blind")[-1]
    assert step["probed"] == 0 and "responses" not in step and len(blind.trials()) == 8
    assert "it had no inquisitor" in Path("nas-runs/blind/report.html").read_text()


def test_the_last_rung_trains_the_best_alone() -> None:
    study = run(
        SPACE, settings=[*SMALL, "search.options.trained=2", "search.options.trained_steps=3"], study_name="climbed",
        strategy="generative", n_trials=8, supernet="whole", report=False,
    )  # fmt: skip
    rows = {row.arch_id: row for row in study.storage.trials(study.row.id)}
    trained = {
        arch_id: row.at("retrained")["accuracy"] for arch_id, row in rows.items() if row.at("retrained")
    }
    for arch_id in trained:
        assert len(study.storage.series(study.row.id, f"{RETRAINING}{arch_id}")) == 3
    score = nas_log10(study.trials().set_index("arch_id"))
    assert set(trained) == set(score.nlargest(2).index)
    assert all(
        "retrained" in metric.detail and metric.provenance == "measured" for metric in trained.values()
    )


def test_a_finalist_retrained_by_hand_keeps_that_and_the_run_goes_on() -> None:
    heard: list[str] = []

    class Heard(Silent):
        def warn(self, text: str) -> None:
            heard.append(text)

    def climb(**more: Any) -> nas.study.Study:
        return run(
            SPACE, settings=[*SMALL, "search.options.trained=2", "search.options.trained_steps=2"],
            study_name="by hand", strategy="generative", n_trials=8, supernet="whole", report=False, **more,
        )  # fmt: skip

    study = climb()
    score = nas_log10(study.trials().set_index("arch_id"))
    (best, second), folder = score.nlargest(2).index, Path("nas-runs/by hand/retrain")
    number = study.trials().set_index("arch_id").loc[best, "number"]
    by_hand = ["retrain", f"by hand/{number}", "--set", "train.steps=4", "--overwrite", "--space", str(SPACE)]
    assert CliRunner().invoke(app, by_hand).exit_code == 0
    weights = (folder / best / "retrained.safetensors").read_bytes()
    shutil.rmtree(folder / second)
    climb(resume=True, reporter=Heard())
    (told,) = [text for text in heard if "short training" in text]
    assert best in told and "other settings" in told
    assert (folder / best / "retrained.safetensors").read_bytes() == weights
    assert (folder / second / "retrained.json").exists()
    rows = {row.arch_id: row for row in study.storage.trials(study.row.id)}
    assert "scratch" in rows[best].at("retrained")["accuracy"].detail
    assert study.storage.study(study.name).state == "finished"


def test_new_architectures_come_from_the_learned_generator() -> None:
    study = nas.load_study("whole")
    made = generate(study.row, study.storage.address, 40, constraints=["macs<=6M"], seed=1)
    assert len(made.archs) == len(set(made.archs.ids)) == 40
    assert not set(made.archs.ids) & set(study.trials()["arch_id"])
    assert all(metrics["macs"].value <= 6e6 for metrics in made.metrics)
    assert made.archs.space.valid(made.archs).all()
    again = generate(study.row, study.storage.address, 40, constraints=["macs<=6M"], seed=1)
    assert again.archs.ids == made.archs.ids
    assert generate(study.row, study.storage.address, 40, seed=2).archs.ids != made.archs.ids


def test_generate_on_the_command_line() -> None:
    result = CliRunner().invoke(
        app, ["generate", "whole", "-n", "3", "--constraint", "macs<=6M", "-f", "json"]
    )
    rows = json.loads(result.stdout)
    assert len(rows) == 3 and {"arch_id", "arch", "metrics"} == set(rows[0])
    assert rows[0]["metrics"]["macs"]["provenance"] == "counted"
    table = CliRunner().invoke(app, ["generate", "whole", "-n", "2"]).stdout
    assert "counted" in table and "M MACs" in table
    flat = CliRunner().invoke(app, ["generate", "whole", "-n", "2", "-f", "csv"]).stdout.splitlines()
    assert flat[0].startswith("arch_id,macs,macs.unit,macs.provenance") and len(flat) == 3


def test_what_cannot_be_generated() -> None:
    study = nas.load_study("whole")
    for constraint, message in (
        ("macs<=1k", "no feasible architecture among"),
        ("accuracy>=10%", "needs an evaluation"),
        ("latency<=3ms", "searched for no device"),
    ):
        with pytest.raises(NasError, match=message):
            generate(study.row, study.storage.address, 2, constraints=[constraint])
    run(
        SPACE,
        settings=SMALL,
        study_name="other",
        strategy="random",
        n_trials=8,
        supernet="whole",
        report=False,
    )
    with pytest.raises(NasError, match="'random', which learns no generator"):
        generate(nas.load_study("other").row, study.storage.address, 2)
    kept = Path("nas-runs/whole/search.json").rename("aside.json")
    try:
        with pytest.raises(NasError, match=r"search\.json is missing"):
            generate(study.row, study.storage.address, 2)
    finally:
        kept.rename("nas-runs/whole/search.json")


def test_only_what_its_own_search_has_learned_is_used() -> None:
    study = nas.load_study("whole")
    file = Path("nas-runs/whole/search.json")
    text = file.read_text()
    unseen = generate(study.row, study.storage.address, 1).archs.codes.tolist()
    plain = json.dumps({key: value for key, value in json.loads(text).items() if key != "sha256"})
    foreign = {key: value for key, value in with_log(file, json.loads(plain)).items() if key != "log"}
    foreign["strategy"]["codes"][:1] = unseen
    other_space = json.loads(plain)
    other_space["strategy"]["generator"] = {"x": [[1.0]]}
    other_strategy = json.loads(plain)
    del other_strategy["strategy"]["generator"]
    begun = {**json.loads(plain), "trials": 0}
    try:
        for state in (foreign, other_space, other_strategy):
            file.write_text(json.dumps(state))
            with pytest.raises(NasError, match="written by another study"):
                generate(study.row, study.storage.address, 2)
        file.write_text(json.dumps(begun))
        with pytest.raises(NasError, match="has learned nothing yet"):
            generate(study.row, study.storage.address, 2)
    finally:
        file.write_text(text)
