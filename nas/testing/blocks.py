"""Conformance of a block: what counting says of it is what PyTorch runs, in both forms.

`check_block(MyBlock)` is what the project's own tests run on every kind of unit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from nas.blocks.base import Form, Unit
from nas.blocks.counting import describe, live_elements, macs, params
from nas.blocks.elastic import Elastic
from nas.blocks.ops import Ops
from nas.testing import recording
from nas.testing.drawing import draw
from nas.testing.live import peak_elements
from nas.testing.traces import check_plan, check_traces

FORMS: tuple[Form, ...] = ("train", "deploy")
TOLERANCE = 1e-9
"""Largest relative difference of both forms' outputs in float64."""


def check_block(
    unit: type[Unit], sizes: Sequence[Mapping[str, int]] | None = None, *, count: int = 20, seed: int = 0
) -> None:
    """Check one kind of unit at several sizes.

    Args:
        sizes: of the layers to check; by default `count` random ones that its fields allow, odd ones included.

    Raises:
        AssertionError: a property does not hold; says which, and at which sizes.
    """
    drawn = draw(unit, count, np.random.default_rng(seed)) if sizes is None else []
    rows = list(sizes) if sizes is not None else [layer.sizes for layer in drawn]
    for row in rows:
        for check in CHECKS:
            check(unit, row)
    check_batch(unit, rows)
    check_traces(unit, rows, FORMS)
    check_plan(unit, drawn)


def check_counts(unit: type[Unit], sizes: Mapping[str, int]) -> None:
    """Multiply-accumulates as PyTorch's counter counts them, parameters as the built module has them."""
    for form in FORMS:
        with torch.device("meta"):
            layer = static(unit, sizes, form=form)
            with FlopCounterMode(display=False) as counter:
                layer(example(unit, sizes, 1), sizes, Ops())
        _equal(unit, sizes, f"MACs ({form})", macs(unit, sizes, form), counter.get_total_flops() / 2)
        built = sum(p.numel() for p in layer.parameters())
        _equal(unit, sizes, f"parameters ({form})", params(unit, sizes, form), built)


def check_memory(unit: type[Unit], sizes: Mapping[str, int]) -> None:
    """Peak memory as hooks on PyTorch's operations see it."""
    for form in FORMS:
        layer = static(unit, sizes, torch.Generator().manual_seed(0), form).eval()
        inputs = example(unit, sizes, 1)
        apart = [*layer.parameters(), *layer.buffers(), *(inputs if isinstance(inputs, list) else [inputs])]
        seen = peak_elements(partial(layer, inputs, sizes, Ops()), apart)
        described = describe(unit, sizes, form)
        counted = described.live - described.elements_in
        _equal(unit, sizes, f"peak of live elements ({form})", counted, seen)


def check_operations(unit: type[Unit], sizes: Mapping[str, int]) -> None:
    """The same operations and operators with the same shapes, counted and run."""
    for form in FORMS:
        expected = recording.counted(unit, sizes, form).entries
        layer = static(unit, sizes, torch.Generator().manual_seed(0), form)
        seen = recording.run(layer, example(unit, sizes, 1), sizes).entries
        names = [name for name, _ in seen]
        _equal(unit, sizes, f"operations ({form})", [name for name, _ in expected], names)
        for (name, counted), (_, ran) in zip(expected, seen):
            fits = counted == ran or counted == ran[1:]
            assert fits, f"{unit.kind} {dict(sizes)}: {name} ({form}): counted {counted}, ran {ran}."


def check_forms(unit: type[Unit], sizes: Mapping[str, int]) -> None:
    """The deployed form computes at eval what the trained one does, from trained weights that it leaves as they are."""
    generator = torch.Generator().manual_seed(0)
    layer = static(unit, sizes, generator).double()
    with torch.no_grad():
        for tensor in layer.state_dict().values():
            tensor.copy_(torch.rand(tensor.shape, generator=generator, dtype=torch.float64) + 0.1)
    before = {name: tensor.clone() for name, tensor in layer.state_dict().items()}
    x = example(unit, sizes, 2, torch.float64)
    with torch.no_grad():
        expected, got = layer(x, sizes, Ops()), layer.deployed(sizes)(x, sizes, Ops())
    error = float((got - expected).abs().max() / expected.abs().max().clamp_min(1e-300))
    assert error <= TOLERANCE, f"{unit.kind} {dict(sizes)}: deployed differs from trained by {error:.1e}."
    assert all(torch.equal(before[name], tensor) for name, tensor in layer.state_dict().items())


def check_slices(unit: type[Unit], sizes: Mapping[str, int]) -> None:
    """A layer extracted from a larger one computes what the larger one does at its sizes."""
    numbers = {k for k in sizes if k in ("channels", "cin", "cout", "hidden", "width", "expanded")}
    larger = {key: np.array([size, size + (3 if key in numbers else 0)]) for key, size in sizes.items()}
    whole = Elastic(unit, larger, torch.Generator().manual_seed(0)).double().eval()
    x = example(unit, sizes, 2, torch.float64)
    part = whole.extract(sizes).eval()
    with torch.no_grad():
        expected, got = whole(x, sizes, Ops()), part(x, sizes, Ops())
    error = float((got - expected).abs().max() / expected.abs().max().clamp_min(1e-300))
    assert error <= TOLERANCE, f"{unit.kind} {dict(sizes)}: extracted differs from sliced by {error:.1e}."


def check_output(unit: type[Unit], sizes: Mapping[str, int]) -> None:
    """What is handed on has the shape that counting says."""
    layer = static(unit, sizes, torch.Generator().manual_seed(0))
    with torch.no_grad():
        out = layer(example(unit, sizes, 2), sizes, Ops())
    _equal(unit, sizes, "output", (2, *describe(unit, sizes, "train").cases[0].out), tuple(out.shape))
    assert bool(torch.isfinite(out).all()), f"{unit.kind} {dict(sizes)}: numbers that are not finite."


def check_batch(unit: type[Unit], rows: Sequence[Mapping[str, int]]) -> None:
    """A batch of layers has the counts of each."""
    arrays = {key: np.array([row[key] for row in rows]) for key in unit.keys}
    for form in FORMS:
        for name, function in (("MACs", macs), ("parameters", params), ("live elements", live_elements)):
            single = [function(unit, row, form) for row in rows]
            _equal(unit, {}, f"{name} of a batch ({form})", list(function(unit, arrays, form)), single)


CHECKS: tuple[Callable[[type[Unit], Mapping[str, int]], None], ...] = (
    check_output,
    check_counts,
    check_operations,
    check_memory,
    check_forms,
    check_slices,
)


def static(
    unit: type[Unit], sizes: Mapping[str, int], generator: torch.Generator | None = None, form: Form = "train"
) -> Elastic:
    """A layer of one size."""
    return Elastic(unit, {key: np.array([value]) for key, value in sizes.items()}, generator, form)


def example(
    unit: type[Unit], sizes: Mapping[str, int], batch: int, dtype: torch.dtype = torch.float32
) -> Any:
    """Random input of a layer: a tensor, or a list where it joins several."""
    generator = torch.Generator().manual_seed(1)
    tensors: list[Tensor] = []
    for inp in unit.inputs(sizes):
        shape = (batch, *(int(size) for size in inp.shape))
        meta = torch.empty(0).is_meta
        tensors.append(torch.empty(shape) if meta else torch.randn(shape, generator=generator, dtype=dtype))
    return tensors if unit.joins else tensors[0]


def _equal(unit: type[Unit], sizes: Mapping[str, int], what: str, counted: Any, real: Any) -> None:
    assert counted == real, f"{unit.kind} {dict(sizes)}: {what}: counted {counted}, real {real}."
