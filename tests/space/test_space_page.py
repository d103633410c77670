"""The page about writing spaces: its files load and its networks run."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import torch

from nas.blocks.base import Block
from nas.blocks.registry import BLOCKS, FILES
from nas.costs import cost
from nas.pipeline.run import planned
from nas.space import load_space
from nas.space.schema import SamplingFile, SpaceFile
from nas.supernet.network import build

PAGE = (Path(__file__).parents[2] / "docs/writing-spaces.md").read_text(encoding="utf-8")
COUNTS = (Path(__file__).parents[2] / "docs/counts.md").read_text(encoding="utf-8")


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_the_spaces_of_the_page_load_and_their_networks_run(tmp_path: Path) -> None:
    first, top, second, layouts = _blocks("yaml")
    path = tmp_path / "s.yaml"
    path.write_text(first)
    space = load_space(path)
    arch = space.sample(1, seed=0)[0]
    assert build(space, arch).eval()(torch.zeros(1, 3, 192, 192)).shape == (1, 100)
    for text, side in ((top, 96), (layouts, 64)):
        path.write_text(text)
        space = load_space(path)
        for arch in space.sample(4, seed=0):
            assert build(space, arch).eval()(torch.zeros(1, 3, side, side)).shape == (1, 10)
    path.write_text(second)
    space = load_space(path)
    answer = build(space, space.sample(1, seed=0)[0]).eval()(torch.zeros(1, 3, 32, 64))
    assert {name: tuple(tensor.shape) for name, tensor in answer.items()} == {
        "scores": (1, 10),
        "labels": (1, 10, 16, 32),
    }


def test_the_page_names_every_key_of_a_space() -> None:
    missing = [name for name in SpaceFile.model_fields if f"`{name}`" not in PAGE]
    missing += [name for name in SamplingFile.model_fields if f"`{name}`" not in PAGE]
    assert not missing


def test_the_page_names_every_block_and_its_fields() -> None:
    """As a row of the table of blocks: a kind that is left out fails here."""
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \| [\w ,]+ \| [\w, ]* \| (.*) \|$", PAGE, re.MULTILINE)
    told = {kind: fields for kinds, fields in rows for kind in re.findall(r"\w+", kinds)}
    parts = [part for file in FILES for part in import_module(f"nas.blocks.{file}").PARTS]
    own = {part.name if isinstance(part, Block) else part.kind for part in parts} & set(BLOCKS)
    assert own | {"identity"} == set(told)
    for kind in own:
        stated = told[kind] + (told["inverted_bottleneck"] if "`inverted_bottleneck`" in told[kind] else "")
        fields = BLOCKS[kind].fields.items()
        said = [name if field.default is None else f"{name}={field.default}" for name, field in fields]
        missing = [text for text in said if f"`{text}`" not in stated]
        assert not missing, f"{kind}: {missing}"


def test_the_requirement_of_the_page_is_met(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(_blocks("yaml")[1])
    space = load_space(path)
    plan, _ = planned(path, requirements=["tiny"], objectives=["accuracy:max", "macs:min"])
    assert plan.settings.train.steps == 100 and plan.settings.search.n_trials == 40
    assert [bound.text for bound in plan.constraints] == space.requirements["tiny"]
    counted = cost(space, space.presets["small"])
    assert counted["params"][0] <= 20_000 and counted["macs"][0] <= 3_000_000


def test_the_block_of_the_page_is_one() -> None:
    values: dict[str, object] = {}
    (text,) = _blocks("python")
    exec(text, values)  # noqa: S102
    assert [member.role for member in values["sandwich"].members] == ["before", "attention", "after"]  # type: ignore[attr-defined]


def test_the_numbers_of_both_forms_are_todays() -> None:
    rows = re.findall(
        r"^\| (\w+) (\w+) \| ([\d,]+) → ([\d,]+|the same) \| ([\d,]+) → ([\d,]+) \|", COUNTS, re.M
    )
    assert len(rows) == 6
    for name, preset, *numbers in rows:
        space = load_space(name)
        arch = space.presets[preset]
        trained, deployed = cost(space, arch, "train"), cost(space, arch)
        macs = [int(trained["macs"][0]), int(deployed["macs"][0])]
        expected = [*macs, int(trained["params"][0]), int(deployed["params"][0])]
        stated = [numbers[0] if text == "the same" else text for text in numbers]
        assert [int(text.replace(",", "")) for text in stated] == expected
        assert deployed["train_params"][0] == trained["params"][0]
        assert trained["memory"][0] == deployed["memory"][0]
