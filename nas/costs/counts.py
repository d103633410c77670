"""Counted costs of architectures: MACs, parameters and peak memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from nas.blocks.base import Form, Unit
from nas.blocks.counting import describe, live_elements
from nas.costs.columns import Column, Floats
from nas.costs.plan import CostPlan
from nas.space.batch import Arch, ArchBatch
from nas.space.lowering import HELD
from nas.space.space import Space

BYTES = 4
Sizes = Mapping[str, NDArray[Any]]


def memory(unit: type[Unit], s: Mapping[str, Any], form: Form = "deploy", held: Any = 0) -> Any:
    """Bytes of fp32 tensors alive at the worst moment of one layer, batch 1, weights not counted.

    Args:
        held: elements of streams that are kept for later layers.
    """
    return BYTES * (live_elements(unit, s, form) + held)


def _sums(form: Form) -> Any:
    def evaluate(unit: type[Unit], sizes: Sizes) -> Floats:
        described = describe(unit, _own(unit, sizes), form)
        columns = [described.macs, described.params]
        if form == "deploy":
            columns.append(describe(unit, _own(unit, sizes), "train").params)
        return np.stack(columns, axis=1).astype(np.float64)

    return evaluate


def _largest(form: Form) -> Any:
    def evaluate(unit: type[Unit], sizes: Sizes) -> Floats:
        return np.asarray(memory(unit, _own(unit, sizes), form, sizes.get(HELD, 0)), dtype=np.float64)[
            :, None
        ]

    return evaluate


def _own(unit: type[Unit], sizes: Sizes) -> Sizes:
    return {key: sizes[key] for key in unit.keys}


def counted(form: Form) -> tuple[Column, ...]:
    """The columns of counted costs: of the deployed form with the trained one's parameters, or of the trained form."""
    names = ("macs", "params", "train_params") if form == "deploy" else ("macs", "params")
    return Column(names, "sum", _sums(form)), Column(("memory",), "max", _largest(form))


_PLANS: WeakKeyDictionary[Space, dict[Form, CostPlan]] = WeakKeyDictionary()


def plan_for(space: Space, form: Form = "deploy") -> CostPlan:
    """The space's plan for the counted costs, made at first use."""
    plans = _PLANS.setdefault(space, {})
    if form not in plans:
        plans[form] = CostPlan(space, counted(form), about=["counted", form])
    return plans[form]


def cost(space: Space, archs: ArchBatch | Arch, form: Form = "deploy") -> dict[str, NDArray[np.int64]]:
    """Counted costs at the space's deployment input.

    Args:
        archs: a batch, or one arch, which may lie outside the space (a preset).
        form: as a device runs the network (norms folded, branches and twin classifiers made one), or as it is trained.

    Returns:
        int64 `(n,)` each: `macs` (multiply-accumulates of convolutions and matrix products, as PyTorch's
        counter counts them), `params`, `memory` (peak bytes of live fp32 tensors at batch 1: a layer's inputs stay
        alive until the layer ends, a kept stream until it was read) and, of the deployed form, `train_params`: the
        parameters of the form that is trained, which most publications state.
    """
    if isinstance(archs, Arch):
        return {name: np.array([value]) for name, value in _of_one(space, archs, form).items()}
    return {name: np.rint(values).astype(np.int64) for name, values in plan_for(space, form)(archs).items()}


def _of_one(space: Space, arch: Arch, form: Form) -> dict[str, int]:
    slots = [slot for slot in space.lower(arch) if slot.active]
    described = [describe(slot.unit, slot.sizes, form) for slot in slots]
    found = {
        "macs": sum(int(each.macs) for each in described),
        "params": sum(int(each.params) for each in described),
        "memory": int(max(memory(slot.unit, slot.sizes, form, slot.held) for slot in slots)),
    }
    if form == "deploy":
        found["train_params"] = sum(int(describe(s.unit, s.sizes, "train").params) for s in slots)
    return found
