"""Arithmetic of every unit against PyTorch: multiply-accumulates, parameters and live tensors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from block_sizes import SIZES, draw_sizes, unit_input
from hypothesis import given, settings
from hypothesis import strategies as st
from live_tensors import peak_elements
from torch.utils.flop_counter import FlopCounterMode

from nas.blocks.base import live_elements, macs, params
from nas.blocks.elastic import Elastic
from nas.blocks.ops import Ops
from nas.blocks.registry import UNITS
from nas.costs.counts import input_elements


def test_every_unit_is_tested_with_all_its_sizes() -> None:
    assert {kind: set(sizes) for kind, sizes in SIZES.items()} == {k: set(u.keys) for k, u in UNITS.items()}


@pytest.mark.parametrize("kind", SIZES)
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_macs_and_params_equal_pytorch(kind: str, data: st.DataObject) -> None:
    unit, sizes = UNITS[kind], draw_sizes(kind, data)
    with torch.device("meta"):
        layer = Elastic(unit, {key: np.array([value]) for key, value in sizes.items()})
        with FlopCounterMode(display=False) as counter:
            layer(unit_input(unit, sizes, batch=1), sizes, Ops(training=False))
    assert 2 * macs(unit, sizes) == counter.get_total_flops()
    assert params(unit, sizes) == sum(p.numel() for p in layer.parameters())


@pytest.mark.parametrize("kind", SIZES)
@given(data=st.data())
@settings(max_examples=20, deadline=None)
def test_the_output_is_what_the_plan_says(kind: str, data: st.DataObject) -> None:
    unit, sizes = UNITS[kind], draw_sizes(kind, data)
    layer = Elastic(unit, {key: np.array([value]) for key, value in sizes.items()}, torch.Generator())
    out = layer(unit_input(unit, sizes, batch=2), sizes, Ops())
    h, w = sizes["h"], sizes["w"]
    h, w = -(-h // sizes.get("stride", 1)), -(-w // sizes.get("stride", 1))
    channels = sizes.get("cout", sizes.get("channels"))
    if "classes" in sizes:
        expected = (2, sizes["classes"])
    elif (unit.takes == "map") != (kind in ("to_map", "to_tokens", "unroll", "reroll")):
        expected = (2, channels, h, w)
    else:
        expected = (2, h * w, channels)
    assert tuple(out.shape) == expected and bool(torch.isfinite(out).all())


@pytest.mark.parametrize("kind", SIZES)
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_live_elements_equal_a_count_of_storages(kind: str, data: st.DataObject) -> None:
    unit, sizes = UNITS[kind], draw_sizes(kind, data)
    layer = Elastic(unit, {key: np.array([value]) for key, value in sizes.items()}, torch.Generator()).eval()
    x = unit_input(unit, sizes, batch=1)
    weights = (*layer.parameters(), *layer.buffers())
    measured = peak_elements(lambda: layer(x, sizes, Ops()), [x], weights)
    counted = live_elements(unit, sizes, input_elements(unit, sizes))
    if sizes.get("act") == 0:
        assert counted >= measured  # an activation "none" is counted as a tensor of its own
    else:
        assert counted == measured


@given(data=st.data())
@settings(max_examples=20, deadline=None)
def test_arrays_and_numbers_agree(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(sorted(SIZES)))
    unit, rows = UNITS[kind], [draw_sizes(kind, data) for _ in range(5)]
    for row in rows:
        row["stride"] = rows[0].get("stride", 1)
    arrays = {key: np.array([row[key] for row in rows]) for key in (*unit.keys, "stride")}
    for function in (macs, params):
        together = np.broadcast_to(function(unit, arrays), 5)
        assert together.tolist() == [function(unit, row) for row in rows]
    peaks = live_elements(unit, arrays, input_elements(unit, arrays))
    assert list(peaks) == [live_elements(unit, row, input_elements(unit, row)) for row in rows]


def test_a_table_of_offsets_counted_on_the_meta_device_still_runs_on_the_cpu() -> None:
    """The cache of offsets must not hand a tensor without data from one device to another."""
    sizes = {"h": 11, "w": 13, "channels": 2, "heads": 1, "qk_dim": 1, "v_dim": 1, "act": 1, "norm": 0}
    unit = UNITS["attention"]
    row = {key: np.array([value]) for key, value in sizes.items()}
    with torch.device("meta"):
        Elastic(unit, row)(torch.zeros(1, 143, 2), sizes, Ops())
    assert Elastic(unit, row, torch.Generator())(torch.zeros(1, 143, 2), sizes, Ops()).isfinite().all()
