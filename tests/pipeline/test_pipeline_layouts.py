"""Layouts of one's own: who needs to know something of a layout asks it, and compares it with none of nas's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from nas.blocks.base import Unit
from nas.blocks.layouts import Interface, Layout
from nas.blocks.operations import Operations
from nas.blocks.registry import register, unregister
from nas.blocks.sizes import Sizes
from nas.dashboard.network import network_data
from nas.errors import NasError
from nas.pipeline.plan import check_classifier
from nas.space import Space, load_space


def _row(i: Interface) -> tuple[Any, ...]:
    return (i.channels,)


class Scores(Unit):
    """Class scores of a layout of their own."""

    kind = "test_scores"
    keys = ("h", "w", "channels", "classes")
    handed: ClassVar[Layout] = Layout("test_logits", "logits", _row, placed=False, answers=True)

    @classmethod
    def out(cls, inp: Interface, s: Sizes) -> Interface:
        return Interface(cls.handed, s.classes, 1, 1)

    @classmethod
    def forward(cls, x: Any, s: Sizes, ops: Operations) -> Any:
        return ops.linear("classes", ops.mean(x), s.classes)


class Features(Scores):
    """The same numbers, which are no answer."""

    kind = "test_features"
    handed = Layout("test_features", "features", _row, placed=False)


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    for unit in (Scores, Features):
        register(unit)
    yield
    for unit in (Scores, Features):
        unregister(unit.kind)


def _space(folder: Path, head: str) -> Space:
    stages = f"  a: {{block: conv_norm, stride: 2, width: [4, 6]}}\n  head: {{block: {head}}}\n"
    path = folder / "own.yaml"
    path.write_text(
        f"version: 1\nname: own\ninput: {{resolution: {{height: 8, width: 12}}, classes: 5}}\nstages:\n{stages}"
    )
    return load_space(path)


def test_a_layout_says_whether_it_answers(tmp_path: Path) -> None:
    check_classifier(_space(tmp_path, "test_scores"))
    with pytest.raises(NasError, match=r"answers with features \(stage 'head'\), not with class scores"):
        check_classifier(_space(tmp_path, "test_features"))


@pytest.mark.parametrize("head", ["test_scores", "test_features", "dual_map_head"])
def test_what_has_no_places_is_drawn_as_what_it_reads(tmp_path: Path, head: str) -> None:
    space = _space(tmp_path, head)
    drawn = network_data(space, space.encode([{"a.width": 6}])[0]).blocks[-1]
    assert (drawn.name, drawn.channels, drawn.side) == ("head", 6, (4, 6))
