"""A count of live tensor storages in PyTorch's own operations, independent of the counting it checks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class _Watch(TorchDispatchMode):
    """Notes for every operation which storages it reads and which one it makes."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[tuple[set[int], int | None]] = []
        self.sizes: dict[int, int] = {}
        self.alive: list[Tensor] = []  # so that no address is given twice

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        reads = {_key(leaf) for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)}
        first = next((leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)), None)
        made = None
        if first is not None and first.is_floating_point():  # further results are a norm's statistics
            self.alive.append(first)
            if _key(first) not in self.sizes and _key(first) not in reads:
                made = _key(first)
                self.sizes[made] = first.untyped_storage().nbytes() // first.element_size()
        self.steps.append((reads, made))
        return result


def _key(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


@torch.no_grad()
def peak_elements(function: Callable[[], Tensor], ignored: Sequence[Tensor] = ()) -> int:
    """Largest number of floating-point elements alive at once in `function`, those of `ignored` tensors apart.

    A tensor lives from the operation that makes it to the last one that reads it; the result lives to the end.
    """
    watch = _Watch()
    apart = {_key(tensor) for tensor in ignored}
    with watch:
        result = function()
    last = {made: index for index, (_, made) in enumerate(watch.steps) if made is not None}
    for index, (reads, _) in enumerate(watch.steps):
        last |= {key: index for key in reads if key in last}
    if _key(result) in last:
        last[_key(result)] = len(watch.steps)
    peak, alive = 0, set[int]()
    for index, (_, made) in enumerate(watch.steps):
        if made is not None and made not in apart:
            alive.add(made)
        peak = max(peak, sum(watch.sizes[key] for key in alive))
        alive = {key for key in alive if last[key] > index}
    return peak
