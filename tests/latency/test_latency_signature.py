"""Signatures: one text per unit, and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nas.blocks.registry import UNITS
from nas.errors import NasError
from nas.latency.signature import (
    format_signature,
    parse_signature,
    rows_of,
    signature_rows,
    sizes_of,
    unit_keys,
    words,
)

ATTENTION = "attention h=14 w=7 channels=64 heads=4 qk_dim=16 v_dim=32 act=hard_swish norm=layer_norm"


@st.composite
def units(draw: st.DrawFn) -> tuple[str, tuple[int, ...]]:
    kind = draw(st.sampled_from(sorted(UNITS)))
    tops = [len(words(kind, key)) - 1 if words(kind, key) else 10_000 for key in unit_keys(kind)]
    return kind, tuple(draw(st.integers(0, top)) for top in tops)


@settings(deadline=None)
@example(("cascaded_attention", (0, 0, 0, 0, 0, 0, 16, 0)))  # the second head alone has a kernel
@given(units())
def test_parse_undoes_format(unit: tuple[str, tuple[int, ...]]) -> None:
    assert parse_signature(format_signature(*unit)) == unit


def test_names_and_order() -> None:
    kind, row = parse_signature(ATTENTION)
    assert (kind, row[:6]) == ("attention", (14, 7, 64, 4, 16, 32))
    assert format_signature(kind, row) == ATTENTION


def test_distinct_signatures_of_a_batch() -> None:
    sizes = {"h": np.array([8, 4, 8]), "w": 8, "channels": np.array([16, 16, 16])}
    rows, inverse = signature_rows("to_map", sizes)
    assert rows.tolist() == [[4, 8, 16], [8, 8, 16]]
    assert inverse.tolist() == [1, 0, 1]
    assert sizes_of("to_map", rows)["h"].tolist() == [4, 8]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "unknown kind of unit ''"),
        ("atention h=1", "Did you mean 'attention'?"),
        ("to_map h=1 w=1", "channels="),
        ("to_map w=1 h=1 channels=1", "h= w= channels="),
        ("to_map h=1 w=1 channels=-1", "not a whole number"),
        ("to_map h=1 w=1 channels=1.5", "not a whole number"),
        (ATTENTION.replace("layer_norm", "layernorm"), "Did you mean 'layer_norm'?"),
    ],
)
def test_what_is_no_signature(text: str, says: str) -> None:
    with pytest.raises(NasError) as error:
        parse_signature(text)
    assert says in str(error.value)


def test_a_missing_size_is_named() -> None:
    with pytest.raises(NasError, match="channels"):
        rows_of("to_map", {"h": 1, "w": 1})
