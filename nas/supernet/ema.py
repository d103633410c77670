"""Exponential moving average of weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Average:
    """Moving average of a model's parameters; batch-norm statistics are not averaged: they are recalibrated.

    Args:
        decay: weight of the past.
        warmup: decay grows as min(decay, (1 + t) / (10 + t)), so that short runs follow.
    """

    def __init__(self, model: nn.Module, decay: float, *, warmup: bool) -> None:
        self.decay, self.warmup, self.steps = decay, warmup, 0
        self.weights: dict[str, Tensor] = {name: p.detach().clone() for name, p in model.named_parameters()}

    def current(self) -> float:
        """Decay of the next update."""
        return min(self.decay, (1 + self.steps) / (10 + self.steps)) if self.warmup else self.decay

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move towards the model's parameters."""
        names = dict(model.named_parameters())
        averages = [self.weights[name] for name in names]
        torch._foreach_lerp_(averages, [p.detach() for p in names.values()], 1.0 - self.current())
        self.steps += 1

    @torch.no_grad()
    def copy_to(self, model: nn.Module) -> None:
        """Overwrite the model's parameters."""
        for name, parameter in model.named_parameters():
            parameter.copy_(self.weights[name])
