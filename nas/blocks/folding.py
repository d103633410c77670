"""Batch norms and layer scales multiplied into the projection before them, for the deployed form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

BN_EPS = 1e-5


def fold(p: Mapping[str, Any], chains: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    """The weights `p` without the norms and scales in `chains`; norms that a layer does not have are passed over.

    Args:
        chains: for each projection (its weights are `<name>_weight`, output channels first, and perhaps
            `<name>_bias`) the batch norms and scales that follow it directly, in order.
    """
    parts = dict(p)
    for projection, followers in chains.items():
        for name in followers:
            if f"{name}_mean" in parts or name in parts:
                _multiply(parts, projection, *affine_of(parts, name))
    return parts


def affine_of(parts: dict[str, Any], name: str) -> tuple[Tensor, Tensor | None]:
    """Factor and shift in double precision of a batch norm at eval, or of a scale; taken out of `parts`."""
    if name in parts:
        return parts.pop(name).double(), None
    gain, shift, mean, var = (
        parts.pop(f"{name}_{part}").double() for part in ("weight", "bias", "mean", "var")
    )
    factor = gain * (var + BN_EPS).rsqrt()
    return factor, shift - mean * factor


def _multiply(parts: dict[str, Any], projection: str, factor: Tensor, shift: Tensor | None) -> None:
    weight, bias = parts[f"{projection}_weight"], parts.get(f"{projection}_bias")
    along = factor.view(-1, *[1] * (weight.dim() - 1))
    parts[f"{projection}_weight"] = (weight.double() * along).to(weight.dtype)
    if bias is not None:
        moved = bias.double() * factor
        shift = moved if shift is None else moved + shift
    if shift is not None:
        parts[f"{projection}_bias"] = shift.to(weight.dtype)
