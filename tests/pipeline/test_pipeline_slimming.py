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
    "search.options.step=2",
)  # fmt: skip


def slim(name: str, **more: Any) -> nas.study.Study:
    return run(
        SPACE,
        settings=SMALL,
        study_name=name,
        strategy="slimming",
        n_trials=200,
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
    assert "What was cut, step by step" in report and steps[1]["action"].split()[0] in report

    learn, told = Search.learn, []

    def stop(self: Search, *arguments: Any) -> None:
        learn(self, *arguments)
        told.append(1)
        if len(told) == 3:
            raise NasError("stopped")

    monkeypatch.setattr(Search, "learn", stop)
    with pytest.raises(NasError, match="stopped"):
        slim("resumed", supernet="whole")
    monkeypatch.setattr(Search, "learn", learn)
    slim("resumed", supernet="whole", resume=True)
    assert course("resumed") == steps


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
