"""Forms in which others keep a weight that we keep differently: exact in both directions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isqrt
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

Shape = tuple[int, ...]
KERNEL = 4
"""Dimensions of a convolution's weight."""


@dataclass(frozen=True)
class Form:
    """One form.

    Attributes:
        join: our tensors as theirs.
        split: theirs as ours, of these shapes; the inverse.
        cut: the part of a larger one of theirs, as a supernet's, that our shapes take.
        centred: whether ours is shared by the centre of its last two dimensions, as offset tables and kernels are.
        resized: whether a table `(C, h, w)` of another map is interpolated, as absolute positions are; offsets and
            distances mean the same on every map and are cut.
    """

    join: Callable[[Sequence[Tensor]], Tensor]
    split: Callable[[Tensor, Sequence[Shape]], list[Tensor]]
    cut: Callable[[Tensor, Sequence[Shape], Shape], Tensor] | None = None
    centred: bool = False
    resized: bool = False


def overlap(shape: Shape, whole: Shape, centred: bool) -> tuple[slice, ...]:
    """Where a tensor of `shape` lies in one of `whole`: its leading part, the centre of the last two dimensions.

    Dimensions that `shape` has more of are taken whole.
    """
    first = len(shape) - 2 if centred else len(shape)
    starts = [
        max((big - small) // 2, 0) if d >= first else 0 for d, (small, big) in enumerate(zip(shape, whole))
    ]
    return tuple(slice(start, start + min(small, big)) for start, small, big in zip(starts, shape, whole))


def leading(theirs: Tensor, shapes: Sequence[Shape], wanted: Shape) -> Tensor:
    """The leading part, of kernels the centre."""
    return theirs[overlap(wanted, tuple(theirs.shape), centred=theirs.dim() == 4)]


def resized(table: Tensor, h: int, w: int) -> Tensor:
    """Positions `(C, h', w')` of another map as `(C, h, w)`: bicubic with antialiasing.

    What timm does to absolute positions of vision transformers (`resample_abs_pos_embed`).
    """
    import torch.nn.functional as F

    inner = table[None].float() if table.dtype.itemsize < 4 else table[None]
    return F.interpolate(inner, size=(h, w), mode="bicubic", antialias=True, align_corners=False)[0]


def _by_head(theirs: Tensor, shapes: Sequence[Shape]) -> list[Tensor]:
    heads = theirs.unflatten(0, (shapes[0][0], -1))
    return list(heads.split([shape[1] for shape in shapes], 1))


def _join_heads(parts: Sequence[Tensor]) -> Tensor:
    import torch

    return torch.cat(list(parts), 1).flatten(0, 1)


def _flat(parts: Sequence[Tensor]) -> Tensor:
    """All but the first dimension as one; a bias `(C,)` as it is."""
    return parts[0].flatten(1) if parts[0].dim() > 1 else parts[0]


def _join_rows(parts: Sequence[Tensor]) -> Tensor:
    import torch

    return torch.cat(list(parts), 0)


def _cut_offsets(theirs: Tensor, shapes: Sequence[Shape], wanted: Shape) -> Tensor:
    """Of offsets `((2R-1)², heads)` those of a smaller map, which lie in the middle, and the leading heads."""
    side = isqrt(theirs.shape[0])
    table = theirs[:, : wanted[1]].unflatten(0, (side, side))
    _, h, w = shapes[0]
    top, left = (side - h) // 2, (side - w) // 2
    return table[top : top + h, left : left + w].flatten(0, 1)


def _cut_blocks(theirs: Tensor, shapes: Sequence[Shape], wanted: Shape) -> Tensor:
    """The leading rows of each of a supernet's three blocks of rows: q and k as many as channels, then v.

    ElasticViT's code slices q, k and v where they lie, one behind the other, and reads the joined rows as if they lay
    by head.
    """
    import torch

    heads, _, channels = shapes[0]
    most = theirs.shape[1]
    starts = (0, most, 2 * most)
    rows = [theirs[start : start + heads * shape[1], :channels] for start, shape in zip(starts, shapes)]
    return torch.cat(rows)


FORMS: dict[str, Form] = {
    "same": Form(lambda parts: parts[0], lambda theirs, shapes: [theirs]),
    "flat": Form(_flat, lambda theirs, shapes: [theirs.reshape(shapes[0])]),
    "by_head": Form(_join_heads, _by_head),
    "in_rows": Form(_join_rows, lambda theirs, shapes: list(theirs.split([shape[0] for shape in shapes]))),
    "tokens": Form(
        lambda parts: parts[0].flatten(1).T[None],
        lambda theirs, shapes: [theirs[0].T.reshape(shapes[0])],
        centred=True,
        resized=True,
    ),
    "offsets": Form(
        lambda parts: parts[0].flatten(1).T,
        lambda theirs, shapes: [theirs.T.reshape(shapes[0])],
        _cut_offsets,
        centred=True,
    ),
    "depthwise": Form(
        lambda parts: parts[0].flatten(0, 1).unsqueeze(1),
        lambda theirs, shapes: [theirs.reshape(shapes[0])],
    ),
    "by_head_of_blocks": Form(_join_heads, _by_head, _cut_blocks),
    # Convolutions whose output, or input, channels are kept by parts.
    "rows": Form(
        lambda parts: parts[0].flatten(0, parts[0].dim() - KERNEL),
        lambda theirs, shapes: [theirs.reshape(shapes[0])],
    ),
    "columns": Form(
        lambda parts: parts[0].flatten(1, parts[0].dim() - KERNEL + 1),
        lambda theirs, shapes: [theirs.reshape(shapes[0])],
    ),
}
