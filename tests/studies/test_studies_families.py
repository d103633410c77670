"""The study of all families: its table holds every preset once, and its fronts are what comparing all pairs finds."""

from __future__ import annotations

import csv
import json
import sys
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest
from study_modules import STUDIES, importable
from typer.testing import CliRunner

import nas
from nas import content
from nas.cli import app

STUDY = STUDIES / "families"


@pytest.fixture(autouse=True, scope="module")
def _importable() -> Iterator[None]:
    with importable("families", "predictors"):
        yield


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, str]]:
    """`results.csv` on a device that is shipped."""
    import runpy

    folder = tmp_path_factory.mktemp("families")
    arguments = sys.argv
    sys.argv = ["study.py", "pixel6", "--output", str(folder)]
    try:
        runpy.run_path(str(STUDY / "study.py"), run_name="__main__")
    finally:
        sys.argv = arguments
    assert (folder / "families.svg").read_text().startswith("<svg")
    with (folder / "results.csv").open() as file:
        return list(csv.DictReader(file))


def test_every_preset_of_every_vision_space_is_there_once(table: list[dict[str, str]]) -> None:
    spaces = [nas.load_space(name) for name in content.names("spaces")]
    expected = {(s.name, preset) for s in spaces if s.blueprint is not None for preset in s.presets}
    found = Counter((row["space"], row["preset"]) for row in table)
    assert set(found) == expected
    assert set(found.values()) == {1}
    assert not any("measured ms" in row for row in table)


def test_costs_and_accuracies_are_those_of_the_command(table: list[dict[str, str]]) -> None:
    for name in sorted({row["space"] for row in table}):
        told = json.loads(CliRunner().invoke(app, ["space", "presets", name, "--format", "json"]).stdout)
        rows = {row["preset"]: row for row in table if row["space"] == name}
        for one in told:
            row, metrics = rows[one["preset"]], one["metrics"]
            assert row["MACs M"] == f"{metrics['macs']['value'] / 1e6:.1f}"
            assert row["parameters M"] == f"{metrics['params']['value'] / 1e6:.2f}"
            top1 = one.get("published", {}).get("top1")
            assert row["published top-1"] == ("" if top1 is None else f"{top1:g}")


def test_the_front_is_what_no_other_is_better_than() -> None:
    from fronts import Competitor, front, leads

    rng = np.random.default_rng(0)
    among = [
        Competitor("ab"[n % 2], str(n), float(rng.integers(1, 9)), float(rng.integers(60, 70)), False)
        for n in range(30)
    ]
    corners = {
        (a.ms, a.top1)
        for a in among
        if not any(b.ms <= a.ms and b.top1 >= a.top1 and (b.ms, b.top1) != (a.ms, a.top1) for b in among)
    }
    assert {(one.ms, one.top1) for one in front(among)} == corners
    rows = leads(among)
    assert [row["to ms"] for row in rows[:-1]] == [row["from ms"] for row in rows[1:]]


def test_a_lead_below_the_limit_is_a_tie() -> None:
    from fronts import Competitor, leads

    among = [Competitor("a", "x", 1.0, 70.0, False), Competitor("b", "y", 2.0, 70.2, False)]
    assert [row["verdict"] for row in leads(among)] == ["leads", "tie"]
    assert leads(among)[1]["lead, points"] == "0.20"
