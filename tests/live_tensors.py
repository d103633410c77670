"""A count of live tensor storages while a function runs, independent of the arithmetic it checks."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class _Live(TorchDispatchMode):
    def __init__(self, ignored: set[int]) -> None:
        super().__init__()
        self.ignored, self.alive, self.now, self.peak = ignored, {}, 0, 0

    def watch(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self.ignored or key in self.alive:
            return
        size = storage.nbytes() // tensor.element_size()
        self.alive[key] = size
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._forget, key)

    def _forget(self, key: int) -> None:
        self.now -= self.alive.pop(key, 0)

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        first = next((leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)), None)
        if first is not None and first.is_floating_point():  # further results are a norm's statistics
            self.watch(first)
        return result


@torch.no_grad()
def peak_elements(function: Callable[[], Any], inputs: list[Tensor], weights: tuple[Tensor, ...] = ()) -> int:
    """Largest number of floating-point elements alive at once in `function`, weights apart.

    `inputs` count from the start; a function that pops them lets them go.
    """
    live = _Live({weight.untyped_storage()._cdata for weight in weights})
    for position in range(len(inputs)):
        live.watch(inputs[position])
    with live:
        function()
    return live.peak
