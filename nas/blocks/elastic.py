"""Elastic layers: one set of weights, of which each forward pass uses the part its sizes name.

`Elastic.parts(sizes)` is the only place where weights are sliced. `forward` runs on those parts, and
`extract` copies them into a static layer, so that an extracted model equals the supernet by construction.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nas.blocks.base import Form, Unit, Weight
from nas.blocks.counting import Description, describe, weights_of
from nas.blocks.folding import folded
from nas.blocks.ops import Ops
from nas.blocks.sizes import Sizes

Index = tuple[slice, ...]
LAYER_SCALE = 1e-5


class Elastic(nn.Module):
    """A layer of one kind, as large as the largest of its possible sizes.

    Args:
        unit: the kind of layer.
        possible: every size it may take, as arrays of shape `(m,)`; one row makes a static layer.
        generator: source of the initial weights; None leaves them undefined (to be loaded).
        form: as it is trained, or as it is deployed.
    """

    def __init__(
        self,
        unit: type[Unit],
        possible: Mapping[str, Any],
        generator: torch.Generator | None = None,
        form: Form = "train",
    ) -> None:
        super().__init__()
        self.unit, self.form = unit, form
        for name, (weight, shape) in largest_weights(describe(unit, possible, form)).items():
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
        needed = part_indices(self.unit, tuple(sizes.items()), _shapes(own), self.form)
        learning = torch.is_grad_enabled()
        return {name: take(own[name], index, learning) for name, index in needed}

    def forward(self, x: Any, sizes: Mapping[str, int], ops: Ops) -> Tensor:
        """Run at `sizes` on a tensor, or on a list of tensors where the unit joins several."""
        bound = ops.bind(self.parts(sizes), self.form == "deploy")
        y: Tensor = self.unit.forward(x, Sizes(sizes), bound)
        return y

    def extract(self, sizes: Mapping[str, int]) -> Elastic:
        """A static layer of these sizes with copies of the weights it uses."""
        with torch.no_grad():
            return static_layer(
                self.unit, sizes, {name: part.clone() for name, part in self.parts(sizes).items()}, self.form
            )

    def deployed(self, sizes: Mapping[str, int]) -> Elastic:
        """The static layer's deployed form, for inference only; its weights are copies."""
        with torch.no_grad():
            parts = {name: part.clone() for name, part in self.parts(sizes).items()}
            if self.form == "train":
                parts = folded(self.unit, parts, sizes)
            return static_layer(self.unit, sizes, parts, "deploy").requires_grad_(False)


def static_layer(
    unit: type[Unit], sizes: Mapping[str, int], parts: Mapping[str, Tensor], form: Form = "train"
) -> Elastic:
    """A layer of one size with the weights `parts`, not copied."""
    row = {key: np.array([value]) for key, value in sizes.items()}
    with torch.device("meta"):
        static = Elastic(unit, row, form=form)
    static.load_state_dict(dict(parts), assign=True)
    weights = weights_of(unit, sizes, form)
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
    unit: type[Unit],
    sizes: tuple[tuple[str, int], ...],
    whole: tuple[tuple[str, tuple[int, ...]], ...],
    form: Form = "train",
) -> tuple[tuple[str, Index | None], ...]:
    """Name and index (None: all) of each weight that a layer of these sizes uses.

    Leading part of every dimension; the last two dimensions of cropped weights are cut from the centre.
    """
    shapes = dict(whole)
    return tuple(
        (name, _index(tuple(int(size) for size in weight.shape), shapes[name], weight.crop))
        for name, weight in weights_of(unit, dict(sizes), form).items()
    )


def _index(shape: tuple[int, ...], whole: tuple[int, ...], crop: bool) -> Index | None:
    if shape == whole:
        return None
    centred = len(shape) - 2 if crop else len(shape)
    starts = [0 if d < centred else (big - small) // 2 for d, (small, big) in enumerate(zip(shape, whole))]
    return tuple(slice(start, start + size) for start, size in zip(starts, shape))


def _shapes(own: Mapping[str, Tensor]) -> tuple[tuple[str, tuple[int, ...]], ...]:
    return tuple((name, tuple(tensor.shape)) for name, tensor in own.items())


def largest_weights(description: Description) -> dict[str, tuple[Weight, tuple[int, ...]]]:
    """Every weight that some layer of a batch has, in order of use, and its largest shape.

    Where layers differ in whether a weight starts at zero, as with and without a shortcut, it does not.
    """
    order: list[str] = []
    weights: dict[str, tuple[Weight, tuple[int, ...]]] = {}
    for case in sorted(description.cases, key=lambda case: -len(case.weights)):
        place = 0
        for name, weight in case.weights.items():
            place = order.index(name) + 1 if name in order else place + 1
            if name not in weights:
                order.insert(place - 1, name)
            shape = tuple(int(np.max(np.asarray(size))) for size in weight.shape)
            before, known = weights.get(name, (weight, shape))
            chosen = before if weight.init == "zeros" else weight
            weights[name] = (chosen, tuple(map(max, known, shape)))
    return {name: weights[name] for name in order}


def initial(weight: Weight, shape: tuple[int, ...], generator: torch.Generator | None) -> Tensor:
    """Initial values: normal 0.02 for linears and offset tables, fan-out normal for convolutions, 1e-5 for small.

    `identity` is that of linears plus the identity matrix, `eye` that matrix alone.
    """
    data = torch.empty(shape)
    if weight.init == "zeros":
        return data.zero_()
    if weight.init == "ones":
        return data.fill_(1.0)
    if weight.init == "small":
        return data.fill_(LAYER_SCALE)
    if weight.init == "eye" and not data.is_meta:
        return data.copy_(torch.eye(*shape))
    if data.is_meta or generator is None:
        return data
    if weight.init == "conv":
        rows = weight.rows
        depthwise = weight.crop and (len(shape) == rows + 3 and shape[rows] == 1)
        fan_out = shape[-1] * shape[-2] * (1 if depthwise else prod(shape[:rows]))
        return data.normal_(0.0, (2.0 / fan_out) ** 0.5, generator=generator)
    data.normal_(0.0, 0.02, generator=generator)
    return data.add_(torch.eye(*shape)) if weight.init == "identity" else data
