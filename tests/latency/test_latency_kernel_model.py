"""The kernel model: known laws are found, whole kinds are estimated, and nothing is ever free."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from nas.blocks.counting import describe
from nas.blocks.registry import UNITS
from nas.latency import nn_meter
from nas.latency.kernel_model import WEIGHTS, KernelModel, fit_kernel_model, kernel_terms
from nas.latency.profiling.modules import unit_model
from nas.latency.rows import IntArray
from nas.latency.signature import parse_signature, rows_of, unit_keys, words
from nas.latency.times import CODES, FloatArray
from nas.testing.drawing import draw

RATES = {"macs": 2e-7, "out": 3e-6, "launches": 4e-3}


def some_rows(kind: str, count: int = 40) -> IntArray:
    rng = np.random.default_rng(len(kind))
    sizes: dict[str, object] = {}
    for key in unit_keys(kind):
        named = words(kind, key)
        sizes[key] = rng.integers(1, len(named), count) if named else 8 * rng.integers(1, 9, count)
    small = {"stride": 1, "kernel": 3, "expansion": 4, "se": 1}
    return rows_of(kind, {**sizes, **{key: value for key, value in small.items() if key in sizes}})


def law(kind: str, rows: IntArray) -> FloatArray:
    """Time added up kernel by kernel of what is deployed, one unit at a time."""
    result = []
    for row in rows:
        described = describe(UNITS[kind], {key: int(value) for key, value in zip(unit_keys(kind), row)})
        ms = 1e-7 * float(described.params)
        for kernel in described.cases[0].kernels:
            runs = kernel.out > 0 or kernel.macs > 0
            ms += RATES["macs"] * kernel.macs + RATES["out"] * kernel.out + RATES["launches"] * runs
        result.append(ms)
    return np.array(result)


class Executed(TorchDispatchMode):
    """Convolutions and elementwise operations that PyTorch executes, by kind of kernel: `[launches, macs, out]`.

    Of maps of one pixel a convolution is a matrix product.
    """

    ELEMENTWISE: ClassVar = {
        "hardswish": "act",
        "relu": "act",
        "hardsigmoid": "act",
        "add": "add",
        "mul": "mul",
        "mean": "pool",
        "avg_pool2d": "pool",
    }

    def __init__(self) -> None:
        super().__init__()
        self.amounts: dict[str, list[int]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out, name = func(*args, **(kwargs or {})), func.__name__.split(".")[0].rstrip("_")
        if name == "convolution":
            depthwise = args[8] > 1
            macs = out.numel() * args[1][0].numel()
            self._note("depthwise" if depthwise else "conv", macs, out.numel())
        elif name == "addmm":
            self._note("conv", out.numel() * args[1].shape[1], out.numel())
        elif name in self.ELEMENTWISE:
            self._note(self.ELEMENTWISE[name], 0, out.numel())
        return out

    def _note(self, op: str, macs: int, out: int) -> None:
        self.amounts[op] = [a + b for a, b in zip(self.amounts.get(op, [0, 0, 0]), (1, macs, out))]


@pytest.mark.parametrize("cout", [16, 24])
@pytest.mark.parametrize(("stride", "expansion", "se"), [(1, 4, 1), (2, 4, 0), (1, 1, 0)])
def test_terms_are_the_kernels_that_a_deployed_unit_executes(
    cout: int, stride: int, expansion: int, se: int
) -> None:
    unit = (
        f"mbconv h=8 w=8 cin=16 cout={cout} kernel=5 stride={stride} expansion={expansion} se={se} "
        f"act=hard_swish"
    )
    model, executed = unit_model(unit), Executed()
    with torch.no_grad(), executed:
        model.module(model.example)
    terms = kernel_terms("mbconv", np.array([parse_signature(unit)[1]]))
    expected = {
        f"{op}.{name}": float(amount)
        for op, amounts in executed.amounts.items()
        for name, amount in zip(("launches", "macs", "out"), amounts)
        if amount
    }
    weights = sum(parameter.numel() for parameter in model.module.parameters())
    assert {name: amount[0] for name, amount in terms.items()} == {**expected, WEIGHTS: float(weights)}


def test_units_of_a_batch_have_the_terms_they_have_alone() -> None:
    """Also where they take other branches: a wider shortcut, no squeeze-excite, no expansion."""
    sizes = {"h": 8, "w": 8, "cin": 16, "kernel": 3, "stride": [1, 2, 1, 2], "act": 4}
    rows = rows_of(
        "mbconv", {**sizes, "cout": [16, 16, 24, 24], "expansion": [1, 4, 4, 1], "se": [0, 1, 0, 1]}
    )
    together = kernel_terms("mbconv", rows)
    for index in range(len(rows)):
        alone = kernel_terms("mbconv", rows[[index]])
        assert {name: amount[index] for name, amount in together.items() if amount[index]} == {
            name: amount[0] for name, amount in alone.items()
        }


def test_a_kind_never_timed_follows_the_law_of_the_others() -> None:
    kinds = ("conv_stem", "mbconv", "ffn", "pooled_head", "attention")
    units = {kind: (some_rows(kind), law(kind, some_rows(kind))) for kind in kinds}
    report = fit_kernel_model(units)
    assert set(report.errors) == set(kinds)
    assert max(errors.mean for errors in report.errors.values()) < 0.3
    model = KernelModel(report.rates, report.log_half)
    for kind, (rows, ms) in units.items():
        assert np.abs(model.ms(kind, rows) / ms - 1).mean() < 0.05
    rows = some_rows("downsample")
    assert np.abs(model.ms("downsample", rows) / law("downsample", rows) - 1).mean() < 0.05


def test_rates_are_never_negative_and_never_missing() -> None:
    report = fit_kernel_model({"ffn": (some_rows("ffn"), law("ffn", some_rows("ffn")))})
    assert all(rate >= 0 for rate in report.rates.values())
    model = KernelModel(report.rates, report.log_half)
    for kind, unit in UNITS.items():
        by_hand = kind in ("unroll", "reroll", "unit_attention")  # few random inputs suit them
        layers = [] if by_hand else draw(unit, 5, np.random.default_rng(0))
        rows = [[layer.sizes[key] for key in unit.keys] for layer in layers]
        runs = [bool(describe(unit, layer.sizes).cases[0].kernels) for layer in layers] or True
        assert np.all((model.ms(kind, np.array(rows) if rows else some_rows(kind)) > 0) == runs), kind


def test_an_unknown_kernel_takes_the_slowest_of_its_class() -> None:
    model = KernelModel({"conv.macs": 1.0, "matmul.macs": 2.0, "act.out": 3.0, "conv.out": 9.0}, 0.1)
    assert model.rate("softmax.out") == 3.0
    assert model.rate("matmul.out") == 9.0
    assert model.rate("depthwise.macs") == 2.0


def test_a_view_is_a_copy_until_somebody_times_it() -> None:
    rows = rows_of("to_tokens", {"h": [8, 16], "w": 8, "channels": 32})
    assert kernel_terms("to_tokens", rows)["copy.out"].tolist() == [2048, 4096]


@pytest.mark.parametrize("phone", ["pixel1", "pixel4", "pixel6", "xiaomi11"])
def test_kinds_left_out_of_a_phone(shared_data: Path, phone: str) -> None:
    """No kind of unit is off by more than half on average when it was never timed; the interval, made without
    it too, holds about as often as it says over the kinds."""
    table = nn_meter.read(shared_data / "nn_meter_lut" / f"{phone}_lut_ln_v3.json")
    units = {kind: (table.rows(kind)[::7], table.times(kind).ms[::7]) for kind in table.kinds}
    report, held = fit_kernel_model(units), []
    for kind, (rows, ms) in units.items():
        others = fit_kernel_model({other: value for other, value in units.items() if other != kind})
        times = KernelModel(others.rates, others.log_half).predict(kind, rows)
        assert report.errors[kind].mean == pytest.approx(np.abs(times.ms / ms - 1).mean(), rel=1e-9)
        assert report.errors[kind].mean < 0.5
        held.append(((times.low <= ms) & (ms <= times.high)).mean())
        assert (times.provenance == CODES["estimated"]).all()
    assert np.mean(held) >= 0.85
    assert report.coverage is not None
    assert report.coverage >= 0.85


def test_few_kinds_are_trusted_less() -> None:
    kinds = ("ffn", "attention", "mbconv", "pooled_head")
    units = {kind: (some_rows(kind), law(kind, some_rows(kind))) for kind in kinds}
    widths = [fit_kernel_model(dict(list(units.items())[:n])).log_half for n in (1, 2, 4)]
    assert min(widths[:2]) >= np.log(2) > widths[2]
