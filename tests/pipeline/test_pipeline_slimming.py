"""A slimming run on a real supernet, stopped half way and resumed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import nas
from nas.errors import NasError
from nas.pipeline.run import planned, run
from nas.pipeline.searching import Search

SPACE = Path(__file__).with_name("small.yaml")
SMALL = (
    "threads=1", "train.steps=6", "train.batch=8", "train.resolution_scale=0.25", "train.checkpoint_every=6",
    "evaluate.recalibrate=1", "evaluate.final_recalibrate=1", "evaluate.images=32", "search.batch=4",
)  # fmt: skip


def slim(name: str, step: int | None = 2, **more: Any) -> nas.study.Study:
    """A walk in steps of so many values; None: as large as the evaluations allow."""
    return run(
        SPACE,
        settings=SMALL if step is None else (*SMALL, f"search.options.step={step}"),
        study_name=name,
        strategy="slimming",
        n_trials=200 if step else 40,
        constraints=["macs<=4M"],
        **more,
    )


def course(name: str) -> list[dict[str, Any]]:
    study = nas.load_study(name)
    return [data for _, data in study.storage.series(study.row.id, "course")]


def test_the_walk_is_kept_drawn_and_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    study = slim("whole")
    steps = course("whole")
    costs = [step["cost"] for step in steps]
    assert costs == sorted(costs, reverse=True) and costs[-1] <= 4e6 < costs[-2]
    trials = study.trials().set_index("arch_id")
    for step in steps:
        assert trials.loc[step["arch_id"], "macs"] == step["cost"]
        assert trials.loc[step["arch_id"], "loss"] == step["loss"]
    report = Path("nas-runs/whole/report.html").read_text()
    assert "Slimming is one walk: at equal evaluations" in report  # which search is better is said
    assert "What was cut, step by step" in report and steps[1]["action"].split()[0] in report

    stopped_after(3, monkeypatch, "resumed", supernet="whole")
    slim("resumed", supernet="whole", resume=True)
    assert course("resumed") == steps

    kept = next(trial.number for trial in study.storage.trials(study.row.id) if trial.state == "complete")
    paced: dict[str, Any] = {"supernet": "whole", "enqueue": [f"whole/{kept}"], "step": None}
    asked = slim("paced", **paced).trials()["arch_id"].tolist()
    stopped_after(3, monkeypatch, "asked again", **paced)
    Path("nas-runs/asked again/search.previous.json").unlink()
    Path("nas-runs/asked again/search.json").write_text("{}")  # what it was is asked for, and told, again
    assert slim("asked again", resume=True, **paced).trials()["arch_id"].tolist() == asked


def stopped_after(batches: int, monkeypatch: pytest.MonkeyPatch, name: str, **more: Any) -> None:
    """A walk that ends with an error after so many batches."""
    learn, told = Search.learn, list[int]()

    def stop(self: Search, *arguments: Any) -> None:
        learn(self, *arguments)
        told.append(1)
        if len(told) == batches:
            raise NasError("stopped")

    with monkeypatch.context() as patch, pytest.raises(NasError, match="stopped"):
        patch.setattr(Search, "learn", stop)
        slim(name, **more)


def test_what_slimming_needs_is_asked_for_before_any_training(tmp_path: Path) -> None:
    with pytest.raises(NasError, match="cross-entropy"):
        planned(SPACE, strategy="slimming", objectives=["macs:min"])
    with pytest.raises(NasError, match="needs a cost to save"):
        planned(SPACE, strategy="slimming", objectives=["accuracy:max"])
    with pytest.raises(NasError, match=r"sampler\.name=relaxed"):
        planned(SPACE, strategy="slimming", settings=["search.options.actions=importance"])
    with pytest.raises(NasError, match="another: no trained supernet there"):
        planned(
            SPACE, strategy="slimming", settings=["search.options.actions=importance"], supernet="another"
        )
