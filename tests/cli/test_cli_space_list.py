"""`nas space list`: every space in one table, with presets, costs, latency and published accuracy."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import nas
from nas.cli import app
from nas.content import names
from nas.costs import cost
from nas.errors import NasError


@pytest.fixture(scope="module")
def rows() -> dict[str, dict[str, Any]]:
    done = CliRunner().invoke(app, ["space", "list", "--device", "pixel6", "-f", "json"])
    assert done.exit_code == 0, done.output
    return {row["space"]: row for row in json.loads(done.stdout)}


def test_every_space_is_there_with_its_presets(rows: dict[str, dict[str, Any]]) -> None:
    assert list(rows) == names("spaces")
    for name, row in rows.items():
        space = nas.load_space(name)
        expected = set(space.presets) if space.blueprint is not None else set()
        assert set(row["presets"]) == expected and row["architectures"] == space.size()[0]


def test_numbers_are_those_of_the_presets(rows: dict[str, dict[str, Any]]) -> None:
    space = nas.load_space("repvit")
    device = nas.load_device("pixel6")
    for name, preset in rows["repvit"]["presets"].items():
        counted = cost(space, space.presets[name])
        assert (preset["macs"], preset["params"]) == (counted["macs"][0], counted["params"][0])
        latency = device.latency(space, space.presets[name])
        assert preset["pixel6"] == pytest.approx(latency.metric(0).value)
        assert preset["top1"] == space.published.top1[name]


def test_the_table_says_it_for_people() -> None:
    done = CliRunner().invoke(app, ["space", "list"], env={"COLUMNS": "160"})
    assert done.exit_code == 0 and "63.2–77.1" in done.stdout
    of_one = CliRunner().invoke(app, ["space", "presets", "efficientvit_msra"], env={"COLUMNS": "160"})
    assert "published top-1" in of_one.stdout and "63.2" in of_one.stdout


def test_what_was_published_of_no_preset_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(
        "version: 1\nname: s\ndecisions: {a: [1, 2]}\npresets: {one: {a: 1}}\npublished:\n"
        "  source: us\n  top1: {two: 70}\n"
    )
    with pytest.raises(NasError, match=r"s\.yaml:7: published\.top1\.two: unknown preset 'two'"):
        nas.load_space(file)


@pytest.mark.parametrize(
    ("published", "said"),
    [
        ("5", "published: a mapping of keys to values is needed"),
        ("{source: us, top1: {one: .nan}}", "published.top1.one: must be greater than 1"),
        ("{source: us, top1: {one: 0.785}}", "published.top1.one: must be greater than 1"),
        ("{source: us, top1: {one: true}}", "published.top1.one: a number is needed"),
        ("{top1: {one: 78.5}}", "published: say in 'source' who published these accuracies"),
    ],
)
def test_what_was_published_is_a_percentage_that_somebody_stated(
    tmp_path: Path, published: str, said: str
) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(
        f"version: 1\nname: s\ndecisions: {{a: [1, 2]}}\npresets: {{one: {{a: 1}}}}\npublished: {published}\n"
    )
    with pytest.raises(NasError, match=re.escape(said)):
        nas.load_space(file)
