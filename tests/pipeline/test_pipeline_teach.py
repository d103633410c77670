"""Stored targets in whole trainings: as the live teacher, and refused for other images."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

import nas
from nas.cli import app
from nas.errors import NasError

SPACE = Path(__file__).with_name("small.yaml")
SETTINGS = (
    "threads=1", "train.steps=6", "train.batch=8", "train.resolution_scale=0.25", "train.mix=0.3",
    "train.checkpoint_every=6", "evaluate.recalibrate=1", "evaluate.final_recalibrate=1", "evaluate.images=32",
    "search.batch=2", "train.progressive.phases=2",
)  # fmt: skip
TEACHER = '''
import torch
import nas.plugins


class Brightness(torch.nn.Module):
    """Ten scores that follow the mean of an image."""

    def forward(self, x):
        return 3 * torch.cos(x.float().mean((1, 2, 3))[:, None] * torch.arange(1, 11) * 2)


@nas.plugins.teacher("bright")
def bright(rest):
    return Brightness()
'''


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a teacher as a plug-in, and what it says of a training's images."""
    place = tmp_path_factory.mktemp("teach")
    (place / "my_teacher.py").write_text(TEACHER)
    return place


@pytest.fixture(autouse=True)
def _there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    nas.load_plugin("my_teacher.py")


def teach(output: str, *more: str) -> str:
    given = [word for text in SETTINGS for word in ("--set", text)]
    done = CliRunner().invoke(
        app, ["teach", str(SPACE), "-o", output, "--teacher", "bright:it", *given, *more]
    )
    assert done.exit_code == 0, done.output
    return done.output


def trained(name: str, *settings: str) -> dict[str, torch.Tensor]:
    nas.run(
        SPACE, settings=[*SETTINGS, *settings], strategy="random", n_trials=2, study_name=name, report=False
    )
    return load_file(next(Path("nas-runs", name).glob("supernet*.safetensors")))


def test_all_classes_train_as_the_live_teacher_does() -> None:
    said = teach("all", "--top", "10")
    assert "10 of 10 classes for 6 steps of 8 images, 1,920 bytes" in said
    live, stored = trained("live", 'train.teachers=["bright:it"]'), trained("stored", "train.logits=all")
    alone = trained("alone")
    near = max(float((live[name] - stored[name]).abs().max()) for name in live)
    far = max(float((live[name] - alone[name]).abs().max()) for name in live)
    assert near < 0.05 * far


def test_targets_of_other_images_are_refused() -> None:
    if not Path("few").exists():
        teach("few", "--top", "2")
    for change, name in (
        ("seed=9", "seed"),
        ("train.batch=4", "train.batch"),
        ("data.search_share=0.3", "data.search_share"),
        ("train.mix=0.1", "train.mix"),
    ):
        with pytest.raises(NasError, match=f"other images: {name} was"):
            trained(f"other-{name}", "train.logits=few", change)
    with pytest.raises(NasError, match=r"without train\.teachers"):
        trained("both", "train.logits=few", 'train.teachers=["bright:it"]')


def test_a_retrained_preset_teaches(folder: Path) -> None:
    preset = f"{SPACE}:{next(iter(nas.load_space(SPACE).presets), '')}"
    if preset.endswith(":"):
        pytest.skip("the space has no preset")
    given = [word for text in SETTINGS[:-1] if not text.startswith("search") for word in ("--set", text)]
    done = CliRunner().invoke(app, ["retrain", preset, *given])
    assert done.exit_code == 0, done.output
    again = CliRunner().invoke(
        app,
        ["teach", str(SPACE), "-o", "by-preset", "--teacher", f"retrained:{preset}", "--top", "3", *given],
    )
    assert again.exit_code == 0, again.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--teacher", "bright:it", "--top", "11"], "--top is 11; there are 10 classes"),
        ([], "name a teacher"),
        (["--teacher", "nobody:x"], "nobody"),
    ],
)
def test_what_cannot_be_stored_is_told(words: list[str], said: str) -> None:
    given = [word for text in SETTINGS for word in ("--set", text)]
    done = CliRunner().invoke(app, ["teach", str(SPACE), "-o", "wrong", *words, *given])
    assert done.exit_code == 1 and said in str(done.exception or done.output)
    assert not Path("wrong").exists()
