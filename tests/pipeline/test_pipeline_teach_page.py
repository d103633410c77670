"""The page about teachers: its commands run as they stand, for fewer steps."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from nas.cli import app
from nas.pipeline.load_data import load_run_data
from nas.pipeline.logits import identity, stored_logits
from nas.pipeline.run import planned
from nas.settings import RunSettings, known_keys
from nas.supernet.stored_logits import CLASSES, PROBABILITIES, read_about

PAGE = (Path(__file__).parents[2] / "docs/teaching.md").read_text(encoding="utf-8")
SHORT = ("threads=1", "train.steps=4", "train.batch=4", "evaluate.final_recalibrate=1")


class NoImages:
    """Of data, what the identity of images reads."""

    name, content, digest, side = "digits", "", "", 32


def test_the_commands_of_the_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    commands = [
        shlex.split(line)
        for block in re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
        for line in block.splitlines()
    ]
    assert len(commands) == 8
    for nas, *words in commands:
        assert nas == "nas"
        if words[0] == "run":
            continue  # minutes: what it reads is looked at below
        done = CliRunner().invoke(app, [*words, *(word for text in SHORT for word in ("--set", text))])
        assert done.exit_code == 0, (words, done.output, done.exception)
    (run,) = (words for _, *words in commands if words[0] == "run")
    plan, _ = planned(run[1], settings=[*SHORT, run[-1]], objectives=run[3:5])
    assert stored_logits(plan.settings, load_run_data(plan), plan.settings.train.steps) is not None
    classes, probabilities = (np.load(tmp_path / "said" / name) for name in (CLASSES, PROBABILITIES))
    batch = read_about(tmp_path / "said").batch
    assert classes.nbytes + probabilities.nbytes == 4 * 5 * batch * 4  # top 5, four steps
    assert (classes.dtype, probabilities.dtype) == (np.int16, np.float16)


def test_the_page_names_what_must_be_equal_and_settings_that_exist() -> None:
    for name in identity(RunSettings(), NoImages(), 1):  # type: ignore[arg-type]
        if name not in ("data", "content", "digest", "images of"):
            assert f"`{name}`" in PAGE, name
    settings = set(re.findall(r"`((?:train|data)\.[\w.]+)", PAGE))
    keys = known_keys()
    assert all(name in keys or any(key.startswith(f"{name}.") for key in keys) for name in settings)
