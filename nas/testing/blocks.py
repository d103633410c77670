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

from nas.blocks.base import Field, Form, Unit
from nas.blocks.counting import describe, live_elements, macs, params
from nas.blocks.counting_ops import Counting, Shaped
from nas.blocks.elastic import Elastic
from nas.blocks.layouts import Interface
from nas.blocks.operations import Operations
from nas.blocks.ops import Ops
from nas.blocks.per_head import pack
from nas.blocks.sizes import Sizes
from nas.errors import NasError
from nas.testing.live import peak_elements

FORMS: tuple[Form, ...] = ("train", "deploy")
TOLERANCE = 1e-9
"""Largest relative difference of both forms' outputs in float64."""
_TRIES = 100
_RECORDED = sorted(Operations.__abstractmethods__ - {"channels"})


def check_block(
    unit: type[Unit], sizes: Sequence[Mapping[str, int]] | None = None, *, count: int = 20, seed: int = 0
) -> None:
    """Check one kind of unit at several sizes.

    Args:
        sizes: of the layers to check; by default `count` random ones that its fields allow, odd ones included.

    Raises:
        AssertionError: a property does not hold; says which, and at which sizes.
    """
    rows = list(sizes) if sizes is not None else random_sizes(unit, count, np.random.default_rng(seed))
    for row in rows:
        for check in CHECKS:
            check(unit, row)
    check_batch(unit, rows)


def random_sizes(unit: type[Unit], count: int, rng: np.random.Generator) -> list[dict[str, int]]:
    """Sizes of layers that a stage could have, by way of the unit's own `plan`."""
    rows: list[dict[str, int]] = []
    refused: Exception | None = None
    for _ in range(count * _TRIES):
        if len(rows) == count:
            return rows
        h, w = (int(side) for side in rng.integers(1, 10, 2))
        extras = {key: int(rng.integers(0, 3)) for key in unit.takes.keys}
        inp = Interface(unit.takes, int(rng.integers(1, 13)), h, w, extras)
        fields: dict[str, int] = {
            "stride": int(rng.choice(unit.strides or (1, 2, 3))),
            "position": 0,
            "last": 0,
        }
        fields["classes"] = int(rng.integers(1, 13))
        fields |= {name: _draw(field, rng) for name, field in unit.fields.items()}
        fields |= {
            n: pack([v], fields[f.heads]) for n, f in unit.fields.items() if f.heads for v in [fields[n]]
        }
        fields |= {"width": inp.channels} if "channels" in unit.keys and "width" in fields else {}
        try:
            given = [inp, inp] if unit.joins else [inp]
            planned, handed_on = unit.plan(given if unit.joins else inp, fields)
            row = {key: int(value) for key, value in planned.items()}
            out = describe(unit, row).cases[0].out
        except (NasError, ZeroDivisionError) as error:
            refused = error
            continue
        known = [each.shape for each in unit.inputs(row)] == [each.shape for each in given]
        assert out == handed_on.shape or not known, (  # a space refuses a layer that is handed another shape
            f"{unit.kind} {row}: 'forward' hands on {out} where 'plan' says {handed_on.shape}."
        )
        rows.append(row)
    raise AssertionError(
        f"{unit.kind}: hardly any random sizes can be built ({str(refused).rstrip('.')}); pass sizes of your own."
    )


def _draw(field: Field, rng: np.random.Generator) -> int:
    if field.words:
        return int(rng.integers(len(field.words)))
    value = int(rng.integers(field.low, min(field.high, field.low + 8) + 1))
    return value + 1 - value % 2 if field.odd else value


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
    """The same operations with the same shapes, counted and run."""
    for form in FORMS:
        counting = _recording(Counting)(form == "deploy")
        counting.log = []
        shapes: Any = [Shaped(inp.shape, -1, counting) for inp in unit.inputs(sizes)]
        unit.forward(shapes if unit.joins else shapes[0], Sizes(sizes), counting)
        layer = static(unit, sizes, torch.Generator().manual_seed(0), form)
        running = _recording(Ops)()
        running.log = []
        with torch.no_grad():
            layer(example(unit, sizes, 1), sizes, running)
        names = [name for name, _ in running.log]
        _equal(unit, sizes, f"operations ({form})", [name for name, _ in counting.log], names)
        for (name, counted), (_, ran) in zip(counting.log, running.log):
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


def _recording(base: type[Any]) -> type[Any]:
    """The same operations that note their names and the shapes of what they hand on."""

    def wrap(name: str) -> Callable[..., Any]:
        def method(self: Any, *args: Any, **kwargs: Any) -> Any:
            depth, self.depth = getattr(self, "depth", 0), getattr(self, "depth", 0) + 1
            result = getattr(base, name)(self, *args, **kwargs)
            self.depth = depth
            if not depth:
                if not hasattr(self, "log"):
                    self.log = []
                parts = result if isinstance(result, list | tuple) else [result]
                self.log += [(name, tuple(int(size) for size in part.shape)) for part in parts]
            return result

        return method

    return type(f"Recording{base.__name__}", (base,), {name: wrap(name) for name in _RECORDED})
