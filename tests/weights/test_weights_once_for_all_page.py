"""The page for users of Once-for-all: its program runs, its numbers are true."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import torch

import nas
from nas.pipeline.evaluating import supernet_evaluator
from nas.settings import make_settings

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
        evaluate = space.recipes["init"]["evaluate"]
        assert evaluate == {"recalibrate": 16, "final_recalibrate": 64, "batch": 64, "images": 2048}
        assert len(space.presets) == 3 and all(space.contains(arch) for arch in space.presets.values())


def test_final_numbers_take_all_test_images_and_trials_take_some() -> None:
    """As the page says, of a run with the space's own settings."""
    asked: list[tuple[str, int]] = []

    class Data:
        name = "images"

        def evaluation(self, split: str, batch: int, limit: int) -> Iterator[object]:
            asked.append((split, limit))
            return iter(())

        def calibration(self, seed: int, batches: int, batch: int) -> Iterator[object]:
            asked.append((f"{batches} of", batch))
            return iter(())

    space = nas.load_space("ofa_mobilenetv3")
    settings = make_settings("embedded", [space.recipes["init"]])
    plan = SimpleNamespace(settings=settings)
    trained = SimpleNamespace(supernet=torch.nn.Identity())
    evaluator = supernet_evaluator(plan, trained, Data())  # type: ignore[arg-type]
    for inherited in (evaluator.searching, evaluator.finishing):
        list(inherited.images())
        list(inherited.calibration(0))
    assert asked == [("search", 2048), ("16 of", 64), ("test", 0), ("64 of", 64)]
