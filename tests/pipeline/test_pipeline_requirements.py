"""Named sets of constraints, from a space's file to a run's plan."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import nas
from nas.cli import app
from nas.errors import NasError
from nas.pipeline.plan import make_plan
from nas.pipeline.run import planned
from nas.settings import make_settings
from nas.space import Space

TEXT = """
version: 1
name: named
input: {resolution: 16, classes: 4}
stages:
  first: {block: conv_stem, stride: 2, width: [8, 16]}
  head: {block: dual_head}
requirements:
  turbovit: [params <= 12.7M, macs <= 2.21G]
"""


@pytest.fixture
def space(tmp_path: Path) -> Space:
    path = tmp_path / "named.yaml"
    path.write_text(TEXT)
    return nas.load_space(path)


def bounds(
    space: Space, constraints: list[str], requirements: tuple[str, ...] = ()
) -> list[tuple[str, float]]:
    settings = make_settings("embedded", [{"constraints": constraints, "search": {"strategy": "random"}}])
    plan = make_plan(space, settings, requirements=requirements)
    return [(constraint.metric, constraint.bound) for constraint in plan.constraints]


def test_a_requirement_is_its_constraints_under_either_option(space: Space) -> None:
    expected = [("params", 12.7e6), ("macs", 2.21e9)]
    assert bounds(space, ["turbovit"]) == expected
    assert bounds(space, [], ("turbovit",)) == expected
    assert bounds(space, [" turbovit ", "memory<=8MiB"]) == [*expected, ("memory", 8 * 2**20)]


def test_an_unknown_requirement_names_those_of_the_space(space: Space) -> None:
    with pytest.raises(NasError, match=r"unknown requirement 'turbovitt'.*Did you mean 'turbovit'"):
        bounds(space, ["turbovitt"])


def test_a_constraint_that_is_none_is_still_explained(space: Space) -> None:
    with pytest.raises(NasError, match="write METRIC<=QUANTITY"):
        bounds(space, ["macs below 3"])


def test_the_space_shows_its_requirements() -> None:
    shown = CliRunner().invoke(app, ["space", "show", "turbovit"])
    assert "requirement turbovit: params <= 12.7M, macs <= 2.21G" in shown.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            {
                "strategy": "generative",
                "settings": ["search.options.cost=foo", "search.options.utility=product"],
            },
            "foo",
        ),
        ({"settings": ["train.relaxed.latency=0.1"]}, "relaxed does"),
        ({"settings": ["train.sampler.drop_path=0.1"]}, "sandwich has"),
    ],
)
def test_what_a_run_would_not_heed_is_refused_when_it_is_planned(
    arguments: dict[str, Any], words: str
) -> None:
    with pytest.raises(NasError, match=words):
        planned("elasticvit", **arguments)
