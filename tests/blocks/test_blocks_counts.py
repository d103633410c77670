"""Arithmetic of every unit against PyTorch: multiply-accumulates, parameters and live tensors."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from live_tensors import peak_elements
from torch.utils.flop_counter import FlopCounterMode

from nas.blocks.base import ACTIVATIONS, Unit, live_elements, macs, params
from nas.blocks.elastic import Elastic
from nas.blocks.ops import Ops
from nas.blocks.registry import UNITS
from nas.costs.counts import input_elements

side = st.integers(1, 9)
width = st.integers(1, 12)
act = st.integers(0, len(ACTIVATIONS) - 1)
conv = {
    "h": side,
    "w": side,
    "cin": width,
    "cout": width,
    "kernel": st.sampled_from([1, 3, 5, 7]),
    "act": act,
}
mbconv = {**conv, "stride": st.sampled_from([1, 2]), "expansion": st.integers(1, 4), "se": st.integers(0, 1)}
token = {"h": side, "w": side, "channels": width, "act": act, "norm": st.integers(0, 1)}
place = {"h": side, "w": side, "channels": width}
attention = {"heads": st.integers(1, 4), "qk_dim": st.integers(1, 5), "v_dim": st.integers(1, 5)}
SIZES: dict[str, Mapping[str, st.SearchStrategy[int]]] = {
    "conv_stem": {**conv, "stride": st.integers(1, 4)},
    "mbconv": mbconv,
    "downsample": mbconv,
    "attention": {**token, **attention},
    "ffn": {**token, "hidden": width},
    "pooled_head": {
        "h": side, "w": side, "channels": width, "expanded": width, "hidden": width, "classes": width, "act": act
    },
    "conv_norm": {**conv, "stride": st.integers(1, 4)},
    "mb4d": {**place, "hidden": width, "act": act},
    "mb3d": {**place, **attention, "hidden": width, "act": act},
    "conv_ffn": {**place, "hidden": width, "act": act},
    "attention4d": {**place, **attention, "grid_stride": st.integers(1, 2), "act": act},
    "attention_downsample": {
        "h": side, "w": side, "cin": width, "cout": width, "stride": st.just(2), **attention, "act": act
    },
    "dual_head": {**place, "classes": width, "distilled": st.integers(0, 1)},
    "dual_map_head": {**place, "classes": width, "distilled": st.integers(0, 1)},
    "to_tokens": place,
    "to_map": place,
}  # fmt: skip


def test_every_unit_is_tested_with_all_its_sizes() -> None:
    assert {kind: set(sizes) for kind, sizes in SIZES.items()} == {k: set(u.keys) for k, u in UNITS.items()}


@pytest.mark.parametrize("kind", SIZES)
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_macs_and_params_equal_pytorch(kind: str, data: st.DataObject) -> None:
    unit, sizes = UNITS[kind], _sizes(kind, data)
    with torch.device("meta"):
        layer = Elastic(unit, {key: np.array([value]) for key, value in sizes.items()})
        with FlopCounterMode(display=False) as counter:
            layer(_input(unit, sizes, batch=1), sizes, Ops(training=False))
    assert 2 * macs(unit, sizes) == counter.get_total_flops()
    assert params(unit, sizes) == sum(p.numel() for p in layer.parameters())


@pytest.mark.parametrize("kind", SIZES)
@given(data=st.data())
@settings(max_examples=20, deadline=None)
def test_the_output_is_what_the_plan_says(kind: str, data: st.DataObject) -> None:
    unit, sizes = UNITS[kind], _sizes(kind, data)
    layer = Elastic(unit, {key: np.array([value]) for key, value in sizes.items()}, torch.Generator())
    out = layer(_input(unit, sizes, batch=2), sizes, Ops())
    h, w = sizes["h"], sizes["w"]
    if "stride" in sizes:
        expected = (2, sizes["cout"], -(-h // sizes["stride"]), -(-w // sizes["stride"]))
    elif "classes" in sizes:
        expected = (2, sizes["classes"])
    elif (unit.takes == "map") != (kind in ("to_map", "to_tokens")):
        expected = (2, sizes["channels"], h, w)
    else:
        expected = (2, h * w, sizes["channels"])
    assert tuple(out.shape) == expected and bool(torch.isfinite(out).all())


@pytest.mark.parametrize("kind", SIZES)
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_live_elements_equal_a_count_of_storages(kind: str, data: st.DataObject) -> None:
    unit, sizes = UNITS[kind], _sizes(kind, data)
    layer = Elastic(unit, {key: np.array([value]) for key, value in sizes.items()}, torch.Generator()).eval()
    x = _input(unit, sizes, batch=1)
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
    unit, rows = UNITS[kind], [_sizes(kind, data) for _ in range(5)]
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


def _sizes(kind: str, data: st.DataObject) -> dict[str, int]:
    return {key: data.draw(values, label=key) for key, values in SIZES[kind].items()}


def _input(unit: type[Unit], sizes: Mapping[str, int], batch: int) -> torch.Tensor:
    channels = sizes.get("cin", sizes.get("channels", 0))
    if unit.takes == "map":
        return torch.randn(batch, channels, sizes["h"], sizes["w"])
    return torch.randn(batch, sizes["h"] * sizes["w"], channels)
