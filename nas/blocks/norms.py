"""Weights of normalisation layers, shared by the blocks."""

from __future__ import annotations

from nas.arith import Num
from nas.blocks.base import Init, Weight


def batch_norm(name: str, channels: Num, gamma: Init = "ones") -> dict[str, Weight]:
    """Scale, shift and running statistics of a batch norm called `name`."""
    return {
        f"{name}_weight": Weight((channels,), gamma),
        f"{name}_bias": Weight((channels,), "zeros"),
        f"{name}_mean": Weight((channels,), "zeros", buffer=True),
        f"{name}_var": Weight((channels,), "ones", buffer=True),
    }


def conv_norm(name: str, cout: Num, cin: Num, kernel: int = 1) -> dict[str, Weight]:
    """Convolution `<name>` with a bias and the batch norm `<name>_bn` behind it; a `cin` of 1 with a kernel above 1 is
    depth-wise."""
    return {
        f"{name}_weight": Weight((cout, cin, kernel, kernel), "conv", crop=kernel != 1, decay=True),
        f"{name}_bias": Weight((cout,), "zeros"),
        **batch_norm(f"{name}_bn", cout),
    }


def layer_scale(name: str, channels: Num) -> dict[str, Weight]:
    """One factor per channel behind the last projection of a residual branch, 1e-5 at the start (CaiT)."""
    return {name: Weight((channels,), "small")}


def affine(name: str, channels: Num) -> dict[str, Weight]:
    """Scale and shift of a layer norm called `name`."""
    return {f"{name}_weight": Weight((channels,), "ones"), f"{name}_bias": Weight((channels,), "zeros")}
