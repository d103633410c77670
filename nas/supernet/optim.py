"""AdamW with ElasticViT's decay groups (fact sheet §5)."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

REFERENCE_BATCH = 512


def parameter_groups(parameters: Iterable[nn.Parameter], weight_decay: float) -> list[dict[str, object]]:
    """Weight decay on linear weights only: none on convolutions, norms, biases and offset tables.

    Blocks mark the parameters without decay (`nas_no_decay`); of unmarked ones, those with fewer than two
    dimensions have none.
    """
    decayed: list[nn.Parameter] = []
    plain: list[nn.Parameter] = []
    for parameter in parameters:
        free = getattr(parameter, "nas_no_decay", parameter.ndim < 2)
        (plain if free else decayed).append(parameter)
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": plain, "weight_decay": 0.0}]


def adamw(parameters: Iterable[nn.Parameter], *, lr: float, weight_decay: float) -> torch.optim.AdamW:
    """AdamW, β = (0.9, 0.999), ε = 1e-8, fused into one kernel per tensor list."""
    groups = parameter_groups(parameters, weight_decay)
    return torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.999), eps=1e-8, fused=True)


def scaled_lr(lr: float, batch: int) -> float:
    """Learning rate for a global batch, linear in it, `lr` being for 512 images."""
    return lr * batch / REFERENCE_BATCH
