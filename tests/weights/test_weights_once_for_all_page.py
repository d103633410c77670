"""The page for users of Once-for-all: its program runs, its numbers are true."""

from __future__ import annotations

import re
from pathlib import Path

import nas

PAGE = (Path(__file__).parents[2] / "docs/from-once-for-all.md").read_text(encoding="utf-8")


def test_the_program_of_the_page_and_its_numbers() -> None:
    (code,) = re.findall(r"^```python once_for_all.py\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    said: dict[str, object] = {}
    exec(code, said)  # noqa: S102
    arch = said["arch"]
    space = nas.load_space("ofa_mobilenetv3")
    assert arch == space.presets["largest"]
    counted = nas.cost(space, arch)
    assert f"# {counted['macs'][0]:,}" in PAGE
    assert f"deployed form, {counted['params'][0]:,} of the largest network" in PAGE


def test_the_space_says_what_the_page_does() -> None:
    for name in ("ofa_mobilenetv3", "ofa_mobilenetv3_w12"):
        space = nas.load_space(name)
        assert space.recipes["init"]["train"] == {
            "init": "keep", "resolution_scale": 1.0, "batch": 32, "conflict_every": 0
        }  # fmt: skip
        assert space.recipes["init"]["evaluate"]["recalibrate"] == 16
