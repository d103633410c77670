"""Counting: a layer's `forward` run over sizes instead of tensors.

It yields the weights a layer has, the primitives it executes and what each reads, in either form. Multiply-accumulates,
parameters, peak memory and the features of latency models are sums over these. Sizes are integers, arrays of a batch or
traces; a branch or loop on a size that differs over a batch splits the batch (`nas.blocks.sizes`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.arith import Num, Traced, asked, maximum, with_deps
from nas.blocks.base import Form, Unit, Weight
from nas.blocks.counting_ops import INPUT, Counting, Kernel, Shaped
from nas.blocks.sizes import Size, Sizes, Split, batch_length
from nas.errors import NasError
from nas.whose import place_of

__all__ = ["Case", "Description", "Kernel", "describe", "live_elements", "macs", "params", "weights_of"]


@dataclass(frozen=True)
class Case:
    """Layers of a batch that take the same branches.

    Attributes:
        rows: which ones, `(m,)`; None: all.
        weights: their parameters and buffers by name.
        kernels: the primitives that one image costs, in order.
        elements_in: of their inputs.
        out: shape of what they hand on.
        deps: decisions that branches asked about, of traces.
    """

    rows: NDArray[np.intp] | None
    weights: Mapping[str, Weight]
    kernels: Sequence[Kernel]
    elements_in: Num
    out: tuple[Num, ...]
    deps: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Description:
    """What counting says of one layer, or of a batch of `n` layers of one kind."""

    n: int | None
    cases: tuple[Case, ...]

    def total(self, quantity: Callable[[Case], Num]) -> Num:
        """A quantity of each layer: an integer, `(n,)`, or a trace."""
        if self.n is None:
            return with_deps(quantity(self.cases[0]), self.cases[0].deps)
        result = np.zeros(self.n, dtype=np.int64)
        for case in self.cases:
            result[case.rows if case.rows is not None else slice(None)] = quantity(case)
        return result

    @property
    def macs(self) -> Num:
        """Multiply-accumulates, as PyTorch's counter counts them (convolutions and matrix products)."""
        return self.total(lambda case: sum(kernel.macs for kernel in case.kernels))

    @property
    def params(self) -> Num:
        """Trained parameters."""
        return self.total(lambda case: sum(w.count() for w in case.weights.values() if not w.buffer))

    @property
    def elements_in(self) -> Num:
        """Elements of the inputs."""
        return self.total(lambda case: case.elements_in)

    @property
    def live(self) -> Num:
        """Largest number of elements alive at once, inputs included; see `live_elements`."""
        return self.total(lambda case: _peak(case.kernels) + case.elements_in)


def describe(unit: type[Unit], s: Mapping[str, Num], form: Form = "deploy") -> Description:
    """Run a unit's `forward` over sizes.

    Args:
        s: sizes by key: integers of one layer, arrays `(n,)` of a batch, or traces.
        form: as it is trained or as it is deployed.

    Raises:
        NasError: two weights of one name, or an operation on shapes that do not fit.
    """
    n = batch_length(s)
    if n is None:
        if any(isinstance(value, Traced) for value in s.values()):
            with asked() as deps:
                case = _case(unit, Sizes(s), form, None)
            return Description(None, (replace(case, deps=frozenset(deps)),))
        return _of_numbers(unit, tuple((key, int(value)) for key, value in s.items()), form)
    columns = {key: np.broadcast_to(np.asarray(value), (n,)) for key, value in s.items()}
    return Description(n, tuple(_cases(unit, columns, form, n)))


@lru_cache(maxsize=65536)
def _of_numbers(unit: type[Unit], sizes: tuple[tuple[str, int], ...], form: Form) -> Description:
    return Description(None, (_case(unit, Sizes(sizes), form, None),))


def _cases(unit: type[Unit], columns: Mapping[str, NDArray[Any]], form: Form, n: int) -> list[Case]:
    """One case for each way through the branches, in order of the values that were asked about."""
    done: list[Case] = []
    waiting = [np.arange(n)] if n else []
    while waiting:
        rows = waiting.pop()
        sizes = Sizes({key: Size.of(column[rows]) for key, column in columns.items()})
        try:
            done.append(_case(unit, sizes, form, None if len(rows) == n else rows))
        except Split as split:
            waiting += [rows[split.values == value] for value in np.unique(split.values)[::-1]]
    return done


def _case(unit: type[Unit], s: Sizes, form: Form, rows: NDArray[np.intp] | None) -> Case:
    ops = Counting(deploy=form == "deploy")
    interfaces = unit.inputs(s)
    inputs = [Shaped(inp.shape, INPUT, ops) for inp in interfaces]
    try:
        out = unit.forward(inputs if unit.joins else inputs[0], s, ops)
        ops.finish(out)
    except NasError as error:
        place = place_of(error)
        raise NasError(f"block {unit.kind!r}: {error}" + (f" ({place})" if place else "")) from None
    return Case(rows, ops.weights, ops.kernels, sum(inp.elements for inp in interfaces), out.shape)


def macs(unit: type[Unit], s: Mapping[str, Num], form: Form = "deploy") -> Num:
    """Multiply-accumulates of one layer for one image."""
    return describe(unit, s, form).macs


def params(unit: type[Unit], s: Mapping[str, Num], form: Form = "deploy") -> Num:
    """Trained parameters of one layer; in the deployed form those that a device loads."""
    return describe(unit, s, form).params


def live_elements(unit: type[Unit], s: Mapping[str, Num], form: Form = "deploy") -> Num:
    """Largest number of tensor elements alive at once while the layer runs.

    The layer's inputs stay alive to its end (a residual, or the caller's reference); every other tensor lives from the
    primitive that makes it to the last one that reads it.
    """
    return describe(unit, s, form).live


def weights_of(unit: type[Unit], s: Mapping[str, int], form: Form = "train") -> Mapping[str, Weight]:
    """Parameters and buffers of one layer by name."""
    return describe(unit, s, form).cases[0].weights


def _peak(kernels: Sequence[Kernel]) -> Num:
    last = list(range(len(kernels)))
    for index, kernel in enumerate(kernels):
        for read in kernel.reads:
            last[read] = max(last[read], index)
    peak: Num = 0
    alive: dict[int, Num] = {}
    for index, kernel in enumerate(kernels):
        alive[index] = kernel.out
        peak = maximum(peak, sum(alive.values()))
        for gone in [made for made in alive if last[made] <= index]:
            del alive[gone]
    return peak
