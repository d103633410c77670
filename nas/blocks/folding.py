"""Folding: a layer's `forward` run over its trained weights, which yields those of its deployed form.

The operations say what becomes of what; this is the arithmetic, in double precision.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from nas.arith import Num
from nas.blocks.base import Unit
from nas.blocks.counting_ops import Counting, Shaped
from nas.blocks.ops import offset_table, position_table, shrunk_kernel
from nas.blocks.projections import BN_EPS
from nas.blocks.sizes import Sizes


def folded(unit: type[Unit], parts: Mapping[str, Tensor], sizes: Mapping[str, int]) -> dict[str, Tensor]:
    """Weights with which the deployed form computes what the trained form computes with `parts` at eval.

    `parts` are left as they are; weights keep their precision.
    """
    ops = Folding(parts)
    inputs = [Shaped(inp.shape, -1, ops) for inp in unit.inputs(sizes)]
    ops.finish(unit.forward(inputs if unit.joins else inputs[0], Sizes(sizes), ops))
    return {name: ops.parts[name] for name in ops.weights}


class Folding(Counting):
    """Operations on shapes that turn trained weights into deployed ones as they go.

    Attributes:
        parts: weights by name, trained ones at first, deployed ones at the end.
    """

    def __init__(self, parts: Mapping[str, Tensor]) -> None:
        super().__init__(deploy=True)
        self.parts: dict[str, Any] = dict(parts)

    def fold(self, name: str, *followers: str, eps: float = BN_EPS) -> None:
        for follower in followers:
            factor, shift = self._affine(follower, eps)
            weight, bias = self.parts[f"{name}_weight"], self.parts.get(f"{name}_bias")
            along = factor.view(-1, *[1] * (weight.dim() - 1))
            self.parts[f"{name}_weight"] = (weight.double() * along).to(weight.dtype)
            moved = torch.zeros_like(factor) if bias is None else bias.double() * factor
            self.parts[f"{name}_bias"] = (moved + shift).to(weight.dtype)

    def average(self, names: Sequence[str], norms: Sequence[str], eps: float) -> None:
        for name, norm in zip(names, norms):
            self.take_in(name, ((norm, eps),))
        for end in ("weight", "bias"):
            parts = [self.parts[f"{name}_{end}"] for name in names]
            self.parts[f"{names[0]}_{end}"] = torch.stack(parts).mean(0)

    def take_in(self, name: str, norms: tuple[tuple[str, float], ...]) -> None:
        for norm, eps in reversed(norms):
            factor, shift = self._affine(norm, eps)
            weight, bias = self.parts[f"{name}_weight"], self.parts[f"{name}_bias"]
            self.parts[f"{name}_bias"] = (bias.double() + weight.double() @ shift).to(bias.dtype)
            self.parts[f"{name}_weight"] = (weight.double() * factor).to(weight.dtype)

    def fuse(
        self, name: str, kernels: tuple[int, ...], identity: bool, norm: bool, bare: tuple[int, ...]
    ) -> None:
        largest, weight, bias = max(kernels), torch.zeros(()), torch.zeros(())
        for index, kernel in enumerate(kernels):
            if index not in bare:
                self.fold(f"{name}_{index}", f"{name}_{index}_bn")
            around = (largest - kernel) // 2
            weight = weight + F.pad(self.parts[f"{name}_{index}_weight"].double(), [around] * 4)
            bias = bias + self.parts[f"{name}_{index}_bias"].double()
        if identity:
            weight = weight + _identity(weight)
        like = self.parts[f"{name}_0_weight"]
        self.parts[f"{name}_weight"], self.parts[f"{name}_bias"] = weight.to(like.dtype), bias.to(like.dtype)
        if norm:
            self.fold(name, f"{name}_bn")

    def shrink(self, name: str, kernel: Num, kernels: Sequence[int]) -> None:
        exact = {key: part.double() for key, part in self.parts.items() if key.startswith(f"{name}_")}
        weight = self.parts[f"{name}_weight"]
        self.parts[f"{name}_weight"] = shrunk_kernel(exact, name, int(kernel), kernels).to(weight.dtype)

    def tabulate(self, name: str, heads: Num, h: Num, w: Num) -> None:
        self.parts[name] = offset_table(self.parts, name, int(h), int(w))

    def tabulate_positions(self, name: str, h: Num, w: Num) -> None:
        self.parts[name] = position_table(self.parts, name, int(h), int(w))

    def _affine(self, name: str, eps: float) -> tuple[Tensor, Tensor]:
        """Factor and shift in double precision of a batch norm at eval, or of a scale."""
        if name in self.parts:
            factor = self.parts[name].double()
            return factor, torch.zeros_like(factor)
        gain, shift, mean, var = (
            self.parts[f"{name}_{part}"].double() for part in ("weight", "bias", "mean", "var")
        )
        factor = gain * (var + eps).rsqrt()
        return factor, shift - mean * factor


def _identity(weight: Tensor) -> Tensor:
    """The kernel `(C, C / groups, k, k)` that hands its input on."""
    channels, reach, side, _ = weight.shape
    kernel = torch.zeros_like(weight)
    index = torch.arange(channels)
    kernel[index, index % reach, side // 2, side // 2] = 1.0
    return kernel
