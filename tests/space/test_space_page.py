"""The page about writing spaces: its files load and its networks run."""

from __future__ import annotations

import re
from pathlib import Path

import torch

from nas.costs import cost
from nas.space import load_space
from nas.supernet.network import build

PAGE = (Path(__file__).parents[2] / "docs/writing-spaces.md").read_text(encoding="utf-8")
COUNTS = (Path(__file__).parents[2] / "docs/counts.md").read_text(encoding="utf-8")


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_the_spaces_of_the_page_load_and_their_networks_run(tmp_path: Path) -> None:
    first, second = _blocks("yaml")
    path = tmp_path / "s.yaml"
    path.write_text(first)
    space = load_space(path)
    arch = space.sample(1, seed=0)[0]
    assert build(space, arch).eval()(torch.zeros(1, 3, 192, 192)).shape == (1, 100)
    path.write_text(second)
    space = load_space(path)
    answer = build(space, space.sample(1, seed=0)[0]).eval()(torch.zeros(1, 3, 32, 64))
    assert {name: tuple(tensor.shape) for name, tensor in answer.items()} == {
        "scores": (1, 10),
        "labels": (1, 10, 16, 32),
    }


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
