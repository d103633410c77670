"""Elastic layers: one set of weights, of which each forward pass uses the part its sizes name.

`Elastic.parts(sizes)` is the only place where weights are sliced. `forward` runs on those parts, and
`extract` copies them into a static layer, so that an extracted model equals the supernet by construction.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nas.blocks.base import Sizes, Unit, Weight
from nas.blocks.ops import Ops

Index = tuple[slice, ...]
LAYER_SCALE = 1e-5


class Elastic(nn.Module):
    """A layer of one kind, as large as the largest of its possible sizes.

    Args:
        unit: the kind of layer.
        possible: every size it may take, as arrays of shape `(m,)`; one row makes a static layer.
        generator: source of the initial weights; None leaves them undefined (to be loaded).
    """

    def __init__(self, unit: type[Unit], possible: Sizes, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.unit = unit
        for name, weight in unit.weights(possible).items():
            shape = _largest(weight)
            if 0 in shape:
                continue
            data = initial(weight, shape, generator)
            if weight.buffer:
                self.register_buffer(name, data)
            else:
                parameter = nn.Parameter(data)
                parameter.nas_no_decay = not weight.decay  # type: ignore[attr-defined]
                self.register_parameter(name, parameter)

    def parts(self, sizes: Mapping[str, int]) -> dict[str, Tensor]:
        """The part of each weight that a layer of these sizes uses; whole weights are passed as they are."""
        own: dict[str, Any] = {**self._parameters, **self._buffers}
        needed = part_indices(self.unit, tuple(sizes.items()), _shapes(own))
        learning = torch.is_grad_enabled()
        return {name: take(own[name], index, learning) for name, index in needed}

    def forward(self, x: Tensor, sizes: Mapping[str, int], ops: Ops) -> Tensor:
        """Run at `sizes`."""
        return self.unit.forward(x, self.parts(sizes), sizes, ops)

    def extract(self, sizes: Mapping[str, int]) -> Elastic:
        """A static layer of these sizes with copies of the weights it uses."""
        row = {key: np.array([value]) for key, value in sizes.items()}
        with torch.device("meta"):
            static = Elastic(self.unit, row)
        with torch.no_grad():
            state = {name: part.clone() for name, part in self.parts(sizes).items()}
        static.load_state_dict(state, assign=True)
        weights = self.unit.weights(sizes)
        for name, parameter in static.named_parameters():
            parameter.requires_grad_(True)
            parameter.nas_no_decay = not weights[name].decay  # type: ignore[attr-defined]
        return static


class _Part(torch.autograd.Function):
    """A slice whose gradient is added into the whole weight's `.grad`, never padded to full size first."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, index: Index) -> Tensor:
        ctx.weight, ctx.index = weight, index
        return weight.detach()[index]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, None]:
        weight: Tensor = ctx.weight
        if weight.grad is None:
            weight.grad = _zeroed(weight)
        weight.grad[ctx.index].add_(grads[0])
        return None, None


def _zeroed(weight: Tensor) -> Tensor:
    """A zero gradient in the memory of the last step's: fresh pages for it would cost more than the step's sums."""
    kept: Tensor | None = getattr(weight, "nas_gradient", None)
    if kept is None:
        kept = torch.zeros_like(weight)
        weight.nas_gradient = kept  # type: ignore[attr-defined]
        return kept
    return kept.zero_()


def take(weight: Tensor, index: Index | None, learning: bool) -> Tensor:
    """`weight[index]`, or the weight itself where the index is None (the whole of it)."""
    if index is None:
        return weight
    if learning and weight.requires_grad:
        part: Tensor = _Part.apply(weight, index)
        return part
    return weight[index]


@lru_cache(maxsize=65536)
def part_indices(
    unit: type[Unit], sizes: tuple[tuple[str, int], ...], whole: tuple[tuple[str, tuple[int, ...]], ...]
) -> tuple[tuple[str, Index | None], ...]:
    """Name and index (None: all) of each weight that a layer of these sizes uses.

    Leading part of every dimension; the last two dimensions of cropped weights are cut from the centre.
    """
    shapes = dict(whole)
    found: list[tuple[str, Index | None]] = []
    for name, weight in unit.weights(dict(sizes)).items():
        shape = tuple(int(size) for size in weight.shape)
        if 0 not in shape:
            found.append((name, _index(shape, shapes[name], weight.crop)))
    return tuple(found)


def _index(shape: tuple[int, ...], whole: tuple[int, ...], crop: bool) -> Index | None:
    if shape == whole:
        return None
    centred = len(shape) - 2 if crop else len(shape)
    starts = [0 if d < centred else (big - small) // 2 for d, (small, big) in enumerate(zip(shape, whole))]
    return tuple(slice(start, start + size) for start, size in zip(starts, shape))


def _shapes(own: Mapping[str, Tensor]) -> tuple[tuple[str, tuple[int, ...]], ...]:
    return tuple((name, tuple(tensor.shape)) for name, tensor in own.items())


def _largest(weight: Weight) -> tuple[int, ...]:
    rows = np.broadcast_arrays(*[np.atleast_1d(np.asarray(size)) for size in weight.shape])
    used = np.all([row > 0 for row in rows], axis=0)
    if not used.any():
        return (0,)
    return tuple(int(row[used].max()) for row in rows)


def initial(weight: Weight, shape: tuple[int, ...], generator: torch.Generator | None) -> Tensor:
    """Initial values: normal 0.02 for linears and offset tables, fan-out normal for convolutions, 1e-5 for small.

    `identity` is that of linears plus the identity matrix.
    """
    data = torch.empty(shape)
    if weight.init == "zeros":
        return data.zero_()
    if weight.init == "ones":
        return data.fill_(1.0)
    if weight.init == "small":
        return data.fill_(LAYER_SCALE)
    if data.is_meta or generator is None:
        return data
    if weight.init == "conv":
        depthwise = weight.crop and (len(shape) == 4 and shape[1] == 1)
        fan_out = shape[-1] * shape[-2] * (1 if depthwise else shape[0])
        return data.normal_(0.0, (2.0 / fan_out) ** 0.5, generator=generator)
    data.normal_(0.0, 0.02, generator=generator)
    return data.add_(torch.eye(*shape)) if weight.init == "identity" else data
