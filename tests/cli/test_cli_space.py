"""`nas space`, as a user types it."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from nas.cli.space import app
from nas.errors import NasError
from nas.space import load_space

RUN = CliRunner()
SPACES = Path(__file__).parents[2] / "spaces"


def test_check_says_which_presets_lie_outside(tmp_path: Path) -> None:
    text = (SPACES / "elasticvit.yaml").read_text()
    inside = RUN.invoke(app, ["check", "elasticvit"])
    assert "21,672,453,419,827,200" in inside.output and "outside" not in inside.output
    path = tmp_path / "narrow.yaml"
    path.write_text(text.replace("[128, 160, 176, 192, 224, 256]", "[128, 160, 176, 192, 224]"))
    assert path.read_text() != text
    narrow = RUN.invoke(app, ["check", str(path)])
    assert "preset L3 lies outside the space" in narrow.output


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("requirements: {fast: ['latncy<=3ms']}", "latency"),
        ("recipes: {embedded: {train: {stepz: 3}}}", "steps"),
        ("recipes: {embeded: {}}", "embedded"),
    ],
)
def test_check_reads_requirements_and_recipes(line: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "space.yaml"
    path.write_text(f"version: 1\nname: s\ndecisions: {{a: [1, 2]}}\n{line}\n")
    result = RUN.invoke(app, ["check", str(path)])
    assert isinstance(result.exception, NasError) and words in str(result.exception)


def test_presets_of_a_table() -> None:
    result = RUN.invoke(app, ["presets", "nasbench201"])
    assert "has no presets" in result.output and len(result.output.splitlines()) == 1


def test_api_misuse_is_explained() -> None:
    space = load_space("elasticvit")
    with pytest.raises(NasError, match=r"batch\[0\]"):
        space.build(space.sample(2, seed=0))  # type: ignore[arg-type]
    with pytest.raises(NasError, match="-1 architectures"):
        space.sample(-1)
