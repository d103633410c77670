"""The wrong kind of name is answered with what it is and what to type."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

import nas
from nas.cli import app
from nas.cli.lookup import find
from nas.errors import NasError

RUN = CliRunner()


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    Path("s.yaml").write_text("version: 1\nname: cells\ndecisions:\n  a: [x, y, z]\n  b: [1, 2, 3, 4]\n")
    rows = [f"{a},{b},{50 + i},{1 + i}" for i, (a, b) in enumerate(itertools.product("xyz", (1, 2, 3, 4)))]
    Path("t.csv").write_text("\n".join(["a,b,acc,ms", *rows]) + "\n")
    nas.run(
        "s.yaml",
        accuracy="table:t.csv#acc",
        latency="table:t.csv#ms",
        strategy="random",
        n_trials=12,
        study_name="mine",
        report=False,
    )
    return "mine"


def test_a_study_where_an_architecture_is_meant_and_what_is_named_works(study: str) -> None:
    with pytest.raises(NasError, match="'mine' is a study, not an architecture") as caught:
        find(None, study)
    named = re.findall(r"mine/\d+", str(caught.value))
    assert named and all(find(None, name) for name in named)
    assert RUN.invoke(app, ["front", "mine"]).exit_code == 0


def test_a_space_where_an_architecture_is_meant(study: str) -> None:
    with pytest.raises(NasError, match=r"'cells' is a space, not an architecture; studies of it: mine"):
        find(None, "cells")


@pytest.mark.parametrize("word", ["export", "show", "retrain"])
def test_every_command_that_takes_an_architecture_says_so(study: str, word: str) -> None:
    done = RUN.invoke(app, [word, study])
    assert done.exit_code != 0 and "is a study" in str(done.exception)


def test_other_words_are_told_as_before(study: str) -> None:
    with pytest.raises(NasError, match="no architecture 'abc'"):
        find(None, "abc")


@pytest.mark.parametrize(
    ("metric", "meant"), [("flops", "macs"), ("GFLOPs", "macs"), ("acc", "accuracy"), ("time", "latency")]
)
def test_other_peoples_names_of_metrics(metric: str, meant: str) -> None:
    with pytest.raises(NasError, match=f"Did you mean '{meant}'"):
        nas.run("elasticvit", objectives=[f"{metric}:min"], study_name="s")
