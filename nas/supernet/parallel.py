"""Processes that train one supernet together: each a part of every batch, one and the same result.

Every process draws the same subnets. Gradients are averaged once a step, in one message; the moments of batch
norms are averaged inside the forward pass, differentiably (`SyncBatchNorm` refuses CPU tensors), so that several
processes with parts of a batch compute what one computes with the whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from nas.errors import NasError


@dataclass(frozen=True)
class Group:
    """The processes and this one's place among them.

    Attributes:
        rank: of this process, from 0.
        size: number of processes; 1 never communicates.
    """

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes for all."""
        return self.rank == 0

    def check(self, batch: int) -> None:
        """Refuse batches that cannot be shared evenly.

        Raises:
            NasError: `batch` is no multiple of the number of processes.
        """
        if batch % self.size:
            raise NasError(
                f"train.batch={batch} cannot be shared evenly by {self.size} processes; choose a multiple."
            )

    def share(self, tensor: Tensor) -> Tensor:
        """This process's part of a batch, along dimension 0."""
        return tensor if self.size == 1 else tensor.chunk(self.size)[self.rank]

    def average(self, x: Tensor) -> Tensor:
        """Mean over the processes of tensors of one shape, differentiable."""
        averaged: Tensor = _Average.apply(x, self.size)
        return averaged

    def average_(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors by their means over the processes, in one message."""
        if self.size == 1 or not tensors:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        dist.all_reduce(flat)
        flat /= self.size
        for tensor, mean in zip(tensors, flat.split([tensor.numel() for tensor in tensors])):
            tensor.copy_(mean.view_as(tensor))

    def mean(self, values: Sequence[float]) -> list[float]:
        """Means of numbers over the processes."""
        if self.size == 1:
            return list(values)
        tensor = torch.tensor(values, dtype=torch.float64)
        self.average_([tensor])
        return [float(value) for value in tensor]

    def told(self, item: Any) -> Any:
        """What the leading process has, on every process."""
        if self.size == 1:
            return item
        box = [item]
        dist.broadcast_object_list(box, src=0)
        return box[0]


class _Average(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, size: int) -> Tensor:
        ctx.size = size
        total = x.clone()
        dist.all_reduce(total)
        return total / size

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        total = grads[0].clone()
        dist.all_reduce(total)
        return total / ctx.size, None


def batch_norm(
    x: Tensor,
    running: tuple[Tensor, Tensor],
    affine: tuple[Tensor, Tensor],
    momentum: float,
    eps: float,
    group: Group,
) -> Tensor:
    """Batch norm in training mode over the batches of all processes.

    Args:
        x: this process's part, `(B, C, …)`; the same shape on every process.
        running: mean and variance `(C,)`, moved by `momentum` towards the whole batch's.
        affine: weight and bias `(C,)`.
    """
    dims = [d for d in range(x.dim()) if d != 1]
    shape = [-1 if d == 1 else 1 for d in range(x.dim())]
    wide = x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
    mean = group.average(wide.mean(dims))
    centred = wide - mean.view(shape)
    variance = group.average(centred.square().mean(dims))
    count = group.size * x.numel() // x.shape[1]
    with torch.no_grad():
        running[0].lerp_(mean.to(running[0].dtype), momentum)
        unbiased = variance * (count / max(count - 1, 1))
        running[1].lerp_(unbiased.to(running[1].dtype), momentum)
    scale = affine[0] * (variance + eps).rsqrt()
    return (centred * scale.view(shape) + affine[1].view(shape)).to(x.dtype)
