"""Counted costs of architectures: MACs, parameters and peak memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from nas.blocks.base import Unit, live_elements, macs, params
from nas.costs.columns import Column, Floats
from nas.costs.plan import CostPlan
from nas.space.batch import Arch, ArchBatch
from nas.space.space import Space

BYTES = 4
Sizes = Mapping[str, NDArray[Any]]


def input_elements(unit: type[Unit], s: Mapping[str, Any]) -> Any:
    """Elements of a layer's input tensor."""
    return s["h"] * s["w"] * (s["cin"] if "cin" in s else s["channels"])


def _column(function: Any) -> Any:
    def evaluate(unit: type[Unit], sizes: Sizes) -> Floats:
        length = len(next(iter(sizes.values())))
        return np.broadcast_to(np.asarray(function(unit, sizes), dtype=np.float64), (length,))[:, None]

    return evaluate


def memory(unit: type[Unit], s: Mapping[str, Any]) -> Any:
    """Bytes of fp32 tensors alive at the worst moment of one layer, batch 1, weights not counted."""
    return BYTES * live_elements(unit, s, input_elements(unit, s))


COUNTED = (
    Column(("macs",), "sum", _column(macs)),
    Column(("params",), "sum", _column(params)),
    Column(("memory",), "max", _column(memory)),
)
_PLANS: WeakKeyDictionary[Space, CostPlan] = WeakKeyDictionary()


def plan_for(space: Space) -> CostPlan:
    """The space's plan for the counted costs, made at first use."""
    if space not in _PLANS:
        _PLANS[space] = CostPlan(space, COUNTED, about=["counted"])
    return _PLANS[space]


def cost(space: Space, archs: ArchBatch | Arch) -> dict[str, NDArray[np.int64]]:
    """Counted costs at the space's deployment input.

    Args:
        archs: a batch, or one arch, which may lie outside the space (a preset).

    Returns:
        int64 `(n,)` each: `macs` (multiply-accumulates of convolutions and matrix products, as PyTorch's
        counter counts them), `params` (trained parameters) and `memory` (peak bytes of live fp32 tensors at
        batch 1: a layer's input stays alive until the layer ends).
    """
    if isinstance(archs, Arch):
        return {name: np.array([value]) for name, value in _of_one(space, archs).items()}
    return {name: np.rint(values).astype(np.int64) for name, values in plan_for(space)(archs).items()}


def _of_one(space: Space, arch: Arch) -> dict[str, int]:
    slots = [slot for slot in space.lower(arch) if slot.active]
    return {
        "macs": int(sum(macs(s.unit, s.sizes) for s in slots)),
        "params": int(sum(params(s.unit, s.sizes) for s in slots)),
        "memory": int(max(memory(s.unit, s.sizes) for s in slots)),
    }
