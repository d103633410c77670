"""Units with a value for each head: their signatures, and what latency models see of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nas.blocks.base import SAME_WIDTH, Field, Unit
from nas.blocks.operations import Operations
from nas.blocks.per_head import at, pack
from nas.blocks.registry import register, unregister
from nas.blocks.sizes import Sizes
from nas.errors import NasError
from nas.latency.features import shape_features, work_terms
from nas.latency.fit import fit_predictor
from nas.latency.kernel_model import kernel_terms
from nas.latency.model import TreeOptions, free_sizes
from nas.latency.predictor import load_predictor
from nas.latency.profiling.modules import unit_model
from nas.latency.report import DataFacts
from nas.latency.rows import IntArray
from nas.latency.signature import format_signature, parse_signature, rows_of
from nas.latency.table import Entry, LatencyTable
from nas.latency.times import FloatArray

KINDS = ("mean", "largest")
MIXED = "mixed h=8 w=8 channels=24 heads=3 kernel=5.5.3 way=mean.largest.mean"


class Mixed(Unit):
    """Depth-wise convolutions, each head with a kernel of its own; where its way is `largest`, an activation too."""

    kind = "mixed"
    fields = {
        "width": SAME_WIDTH,
        "heads": Field(about="groups of channels"),
        "kernel": Field(default=3, odd=True, heads="heads", about="side of each head's kernel"),
        "way": Field(default="mean", words=KINDS, heads="heads", about="of each head"),
    }
    keys = ("h", "w", "channels", "heads", "kernel", "way")

    @classmethod
    def forward(cls, x: Any, s: Sizes, ops: Operations) -> Any:
        parts = []
        for head, part in enumerate(ops.chunk(x, s.heads)):
            y = ops.conv(f"mix{head}", part, s.channels // s.heads, at(s.kernel, head), depthwise=True)
            parts.append(ops.act(y, at(s.way, head)))
        return ops.concat(parts)


@pytest.fixture(autouse=True, scope="module")
def _mixed() -> Iterator[None]:
    register(Mixed)
    yield
    unregister("mixed")


def _rows() -> IntArray:
    """Units of one to three heads, every combination of their kernels."""
    rows = []
    for side in (8, 12, 16):
        for first in (3, 5, 7):
            for heads in (1, 2, 3):
                for last in (3, 5):
                    kernel, way = pack([first, last], heads), pack([0, 1], heads)
                    sizes = {
                        "h": side,
                        "w": side,
                        "channels": 24,
                        "heads": heads,
                        "kernel": kernel,
                        "way": way,
                    }
                    rows.append(rows_of("mixed", sizes)[0])
    return np.unique(np.array(rows), axis=0)


def _ms(rows: IntArray) -> FloatArray:
    return np.array([_law(*parse_signature(format_signature("mixed", row))[1]) for row in rows])


def _law(h: int, w: int, channels: int, heads: int, kernel: int, way: int) -> float:
    """A launch per head and the multiply-accumulates of all heads."""
    taps = sum(at(kernel, head) ** 2 for head in range(heads))
    return 0.01 * heads + 1e-6 * h * w * channels // heads * taps


def test_a_signature_lists_the_values() -> None:
    kind, row = parse_signature(MIXED)
    assert (kind, row[:4]) == ("mixed", (8, 8, 24, 3))
    assert [at(row[4], head) for head in range(3)] == [5, 5, 3]
    assert [at(row[5], head) for head in range(3)] == [0, 1, 0]
    assert format_signature(kind, row) == MIXED


@given(st.lists(st.tuples(st.integers(0, 14), st.integers(0, 1)), max_size=15))
def test_parse_undoes_format(values: list[tuple[int, int]]) -> None:
    heads = len(values)
    codes = [pack([value[part] for value in values], heads) if heads else 0 for part in (0, 1)]
    row = (8, 8, 24, heads, *codes)
    text = format_signature("mixed", row)
    assert parse_signature(text) == ("mixed", row)
    assert heads or text.endswith("kernel=none way=none")


@pytest.mark.parametrize(
    "wrong", ["", "5.", "5..3", "5.-3", "5.+3", "5.15", "5.5,3", "٣", ".".join(["3"] * 16)]
)
def test_what_is_no_list_of_values(wrong: str) -> None:
    with pytest.raises(NasError, match=r"is no list of values per head, such as 5\.5\.3"):
        parse_signature(MIXED.replace("5.5.3", wrong))


def test_words_that_are_unknown() -> None:
    with pytest.raises(NasError, match=r"way='mean\.least' is no list .* such as mean\.largest"):
        parse_signature(MIXED.replace("mean.largest.mean", "mean.least"))
    with pytest.raises(NasError, match="none of mean, largest"):
        format_signature("mixed", (8, 8, 24, 1, pack([3], 1), pack([2], 1)))


def test_amounts_are_sums_over_the_heads() -> None:
    rows = np.array([parse_signature(MIXED)[1], parse_signature(MIXED.replace("5.5.3", "3.3.5"))[1]])
    terms, pixels = work_terms("mixed", rows), 8 * 8
    assert terms["depthwise_macs"].tolist() == [pixels * 8 * (25 + 25 + 9), pixels * 8 * (9 + 9 + 25)]
    assert terms["act_out"].tolist() == [pixels * 8] * 2
    assert terms["params"].tolist() == [8 * (25 + 25 + 9), 8 * (9 + 9 + 25)]
    assert kernel_terms("mixed", rows)["depthwise.launches"].tolist() == [3, 3]
    features = shape_features("mixed", rows)
    assert features["kernel.sum"].tolist() == [13, 11] and features["way.sum"].tolist() == [1, 1]
    assert not {"kernel", "kernel%16", "way"} & set(features)  # a code is no size
    assert not {"kernel", "way"} & set(free_sizes("mixed", _rows()))


def test_predictors_learn_them(tmp_path: Path) -> None:
    rows = _rows()
    ms = _ms(rows)
    fresh = rows[::7]
    kept = np.setdiff1d(np.arange(len(rows)), np.arange(0, len(rows), 7))
    table = LatencyTable(
        {("mixed", tuple(rows[i].tolist())): Entry(float(ms[i]), "measured", "a test") for i in kept}
    )
    facts = DataFacts(file="made.csv", sha256="0", source="made up", licence="none", units=len(kept))
    trees = TreeOptions(rounds=30, few_rounds=30)
    fit_predictor(table, name="board", data=facts, trees=trees).write(tmp_path)
    predictor = load_predictor(tmp_path)
    times = predictor.predict("mixed", fresh)
    assert np.abs(times.ms / ms[::7] - 1).mean() < 0.05


def test_what_is_timed_is_the_unit_of_the_signature() -> None:
    model = unit_model(MIXED)
    with torch.no_grad():
        out = model.module(model.example)
    assert out.shape == model.example.shape == (1, 24, 8, 8)
    sides = sorted(parameter.shape[-1] for parameter in model.module.parameters())
    assert sides == [3, 5, 5]
