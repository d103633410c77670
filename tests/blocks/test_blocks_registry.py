"""A family of blocks is one file and one line of the registry."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

import nas
from nas.blocks.base import Block, Unit
from nas.blocks.registry import BLOCKS, FILES, UNITS

PACKAGE = Path(nas.__file__).parent
FAMILIES = (
    "efficientvit_msra",
    "fastervit",
    "lite_mla",
    "mobilevit",
    "repvit",
    "window_attention",
    "once_for_all",
)
NAMES_ELSEWHERE = re.compile(r"weights/timm_\w+\.py|latency/ofa\w*\.py")
"""What others call these networks and their tables."""


def units(file: str) -> list[type[Unit]]:
    return [part for part in import_module(f"nas.blocks.{file}").PARTS if not isinstance(part, Block)]


def test_every_file_of_blocks_is_one_line() -> None:
    text = (PACKAGE / "blocks" / "registry.py").read_text()
    there = {path.stem for path in (PACKAGE / "blocks").glob("*.py") if "\nPARTS = " in path.read_text()}
    assert there == set(FILES) and len(FILES) == len(set(FILES))
    assert all(text.count(f'    "{file}",\n') == 1 for file in FILES)


def test_what_they_hold_is_what_a_space_may_name() -> None:
    every = [part for file in FILES for part in import_module(f"nas.blocks.{file}").PARTS]
    assert {part.name for part in every if isinstance(part, Block)} <= set(BLOCKS)
    assert {part.kind for part in every if not isinstance(part, Block)} == set(UNITS)


@pytest.mark.parametrize("file", FAMILIES)
def test_nothing_else_of_the_package_knows_a_family(file: str) -> None:
    words = [rf'"{unit.kind}"' for unit in units(file)] + [rf"blocks\.{file}\b"]
    known = set()
    for path in PACKAGE.rglob("*.py"):
        name = str(path.relative_to(PACKAGE))
        if name != f"blocks/{file}.py" and re.search("|".join(words), path.read_text()):
            known.add(name)
    assert {name for name in known if not NAMES_ELSEWHERE.fullmatch(name)} <= {"blocks/registry.py"}
