"""A search that weighs the time of a training step, measured on this machine, as EfficientNetV2's does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import nas
from nas.errors import NasError
from nas.pipeline.run import planned
from nas.store import Storage

SPACE = Path(__file__).with_name("small.yaml")
AWARE = "search.options.utility=training_aware"
SMALL = (
    "threads=1", "train.steps=4", "train.batch=8", "train.resolution_scale=0.25", "evaluate.recalibrate=1",
    "evaluate.final_recalibrate=1", "evaluate.images=32", "evaluate.stimuli=8", "search.batch=8",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with a device that is said to train; its times are those of a phone."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "devices" / "host-training"
    folder.mkdir(parents=True)
    facts = Path(nas.load_device("pixel6").folder, "device.yaml").read_text(encoding="utf-8")
    own = re.sub(r"(?m)^name: .*", "name: host-training", facts)
    own = re.sub(r"(?m)^runtime:.*(\n  .*)*", "runtime: {name: training, version: '1'}", own)
    (folder / "device.yaml").write_text(own, encoding="utf-8")


def test_the_reward_is_accuracy_step_and_parameters() -> None:
    """`A · S^-0.07 · P^-0.05` (section 3.3) of the best trial, A above chance, S in ms and P in millions."""
    study = nas.run(
        SPACE,
        device=["pixel6", "host-training"],
        settings=[*SMALL, AWARE],
        study_name="aware",
        strategy="generative",
        n_trials=16,
    )
    course = [step for _, step in Storage().series(study.row.id, "generator")]
    values = [
        max((trial.metrics["accuracy"].value - 0.1) / 0.9, 1e-4)  # above chance among ten classes
        * trial.metrics["latency@host-training"].value ** -0.07
        * (trial.metrics["params"].value / 1e6) ** -0.05
        for trial in Storage().trials(study.row.id)
    ]
    assert course[-1]["utility"] == "training_aware"
    assert course[-1]["best"] == pytest.approx(max(values))


def test_without_a_step_it_says_how_to_time_one() -> None:
    with pytest.raises(NasError, match=r"there is none in this run\. Time one with `nas device profile host"):
        planned(SPACE, device="pixel6", settings=[*SMALL, AWARE], strategy="generative")
    with pytest.raises(NasError, match=r"latency@pixel6 is not one .* Choose .* from latency@host-training"):
        planned(
            SPACE,
            device=["pixel6", "host-training"],
            settings=[*SMALL, AWARE, "search.options.cost=latency@pixel6"],
            strategy="generative",
        )
