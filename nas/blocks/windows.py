"""Maps cut into windows, on tensors."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

Grid = tuple[int, int]


def cut(x: Tensor, side: Grid) -> tuple[Tensor, Grid]:
    """Windows `(B·n, C, h, w)` of a map `(B, C, H, W)`, row by row, and how many there are down and across.

    The map is padded with zeros at its far sides to whole windows.
    """
    (h, w), (height, width) = side, x.shape[2:]
    down, across = -(-height // h), -(-width // w)
    if (down * h, across * w) != (height, width):
        x = F.pad(x, (0, across * w - width, 0, down * h - height))
    if down * across == 1:
        return x, (1, 1)
    cut = x.unflatten(3, (across, w)).unflatten(2, (down, h)).permute(0, 2, 4, 1, 3, 5)
    return in_memory(cut).flatten(0, 2), (down, across)


def put_together(x: Tensor, grid: Grid, height: int, width: int) -> Tensor:
    """The inverse of `cut`: a map of `height`×`width`."""
    down, across = grid
    if down * across != 1:
        x = (
            in_memory(x.unflatten(0, (-1, down, across)).permute(0, 3, 1, 4, 2, 5))
            .flatten(4, 5)
            .flatten(2, 3)
        )
    return x if tuple(x.shape[2:]) == (height, width) else x[:, :, :height, :width]


def in_memory(x: Tensor) -> Tensor:
    """A copy that lies in the order of its dimensions; always one, so that memory is what counting says."""
    import torch

    return x.clone(memory_format=torch.contiguous_format)
