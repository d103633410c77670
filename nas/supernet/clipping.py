"""Adaptive gradient clipping (Brock et al. 2021, "NFNets"), by units as timm does it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

EPS = 1e-3


def unit_norm(x: Tensor) -> Tensor:
    """L2 norm of each output unit, broadcastable to `x`; of the whole tensor where it has one dimension."""
    if x.ndim <= 1:
        return x.norm(2)
    return x.norm(2, dim=tuple(range(1, x.ndim)), keepdim=True)


@torch.no_grad()
def clip_adaptively(parameters: Sequence[nn.Parameter], factor: float) -> None:
    """Scale each unit's gradient to at most `factor` times its weights' norm (at least 1e-3). In place."""
    for parameter in parameters:
        if parameter.grad is None:
            continue
        allowed = unit_norm(parameter).clamp_min_(EPS).mul_(factor)
        norm = unit_norm(parameter.grad)
        scale = (allowed / norm.clamp_min(1e-6)).clamp_max_(1.0)
        parameter.grad.mul_(scale)


def gradients_finite(parameters: Sequence[nn.Parameter]) -> bool:
    """Whether every gradient is finite."""
    grads = [p.grad for p in parameters if p.grad is not None]
    if not grads:
        return True
    return bool(torch.isfinite(torch.stack([norm.float() for norm in torch._foreach_norm(grads)]).sum()))
