"""Commands that are told: what a shell reads back is what was meant."""

from __future__ import annotations

import shlex

from nas.shell import command_line, resumed


def test_a_name_that_could_be_an_option_stands_apart() -> None:
    told = command_line(["nas", "retrain"], ["-x", "a b"], "sqlite:///my files.db")
    assert shlex.split(told) == ["nas", "retrain", "--storage", "sqlite:///my files.db", "--", "-x", "a b"]


def test_a_command_goes_on_once_and_without_what_was_dropped() -> None:
    told = resumed(["run", "my space.yaml", "--resume", "--overwrite"], ["--overwrite"])
    assert shlex.split(told) == ["nas", "run", "my space.yaml", "--resume"]


def test_resume_is_an_option_also_before_names_that_stand_apart() -> None:
    assert resumed(["retrain", "--", "-study", "3"]) == "nas retrain --resume -- -study 3"
