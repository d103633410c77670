"""Shapes that fit: what counting refuses, because no tensors could do it.

Of a batch the space's rules may forbid some layers, so that only what fits none of them is an error; traces pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from nas.arith import Num, Traced
from nas.errors import NasError

Shape = tuple[Num, ...]


def certain(condition: Num) -> bool:
    """Whether a truth value holds for the layer, or for each of a batch; of a trace nothing is certain."""
    if isinstance(condition, bool):  # the usual case, a hundred times faster than numpy's answer
        return condition
    return not isinstance(condition, Traced) and bool(np.all(condition))


def broadcast(op: str, a: Shape, b: Shape) -> Shape:
    """Shape of `a` and `b` combined element by element.

    Raises:
        NasError: they do not fit; names both.
    """
    for left, right in zip(reversed(a), reversed(b)):
        if left is not right and certain(left != right) and certain((left != 1) & (right != 1)):
            raise NasError(f"{op!r} of {words(a)} and {words(b)}, which do not fit.")
    if len(a) != len(b):
        return a if len(a) > len(b) else b
    return tuple(y if isinstance(x, int) and x == 1 else x for x, y in zip(a, b))


def check_tokens(op: str, shape: Shape) -> None:
    """Refuse maps and vectors where tokens are needed."""
    if len(shape) != 2:
        raise NasError(f"{op!r} takes tokens, not {words(shape)}; 'to_tokens' makes them of a map.")


def check_joined(parts: Sequence[Shape], axis: int, op: str = "concat") -> None:
    """Refuse tensors that differ in another dimension than the one along which they are joined."""
    first = parts[0]
    for part in parts[1:]:
        others = [d for d in range(len(first)) if d != axis % len(first)]
        if len(part) != len(first) or any(certain(part[d] != first[d]) for d in others):
            raise NasError(f"{op!r} of {words(first)} and {words(part)}, which do not fit.")


def check_conv(name: str, cin: Num, out: Num, kernel: Num, groups: Num, padded: bool) -> None:
    """Refuse groups that do not divide the channels, and kernels that change a map's sides by being even."""
    for channels in () if isinstance(groups, int) and groups == 1 else (cin, out):
        if channels is not groups and certain(channels % groups != 0):
            raise NasError(
                f"convolution {name!r}: {one(groups)} groups do not divide {one(channels)} channels."
            )
    if not padded and certain(kernel % 2 == 0):
        raise NasError(
            f"convolution {name!r}: a kernel of {one(kernel)} is even, so that no padding keeps a map's sides; take an "
            "odd one, or say the padding: padding=0 for patches."
        )


def check_room(name: str, x: Shape, kernel: Num, padding: Num) -> None:
    """Refuse a map, padded as it was said, that is smaller than the kernel."""
    if any(certain(side + 2 * padding < kernel) for side in x[1:]):
        raise NasError(
            f"convolution {name!r}: a kernel of {one(kernel)} finds no place on {words(x)} with padding {one(padding)}."
        )


def check_identity(name: str, cin: Num, out: Num, stride: Num) -> None:
    """Refuse a branch that hands its input on where channels or sides change: PyTorch would broadcast, unseen."""
    if cin is not out and certain(cin != out):
        raise NasError(
            f"convolution {name!r}: identity=True adds {one(cin)} channels to {one(out)}; add the input only where "
            "they are as many, 'identity=s.cin == s.cout'."
        )
    if certain(stride != 1):
        raise NasError(
            f"convolution {name!r}: identity=True adds the input to what a stride of {one(stride)} made smaller; "
            "add it only where the stride is 1."
        )


def check_whole(name: str, shape: Shape) -> None:
    """Refuse sizes of a weight that are not whole numbers."""
    for size in shape:
        whole = isinstance(size, int) or (isinstance(size, np.ndarray) and size.dtype.kind in "iu")
        if not whole and certain(size % 1 != 0):
            raise NasError(f"weight {name!r} would be {words(shape)}: sizes are whole numbers; divide by //.")


def words(shape: Shape) -> str:
    """A shape for people; of a batch that of its first layer."""
    return "×".join(str(one(size)) for size in shape) or "a number"


def one(size: Num) -> Any:
    """A number; of a batch that of its first layer."""
    return np.asarray(size).flat[0] if isinstance(size, np.ndarray) else size


def shrinkings(kernel: Num, kernels: Sequence[int]) -> list[tuple[int, int]]:
    """Sides of the kernels on the way from the largest of `kernels`, the first, to `kernel`: larger, next smaller.

    Raises:
        NasError: `kernel` is none of them.
    """
    found = [pair for pair in pairwise(kernels) if pair[1] >= kernel]
    last = found[-1][1] if found else kernels[0]
    if certain(kernel != last):
        sides = ", ".join(map(str, kernels))
        raise NasError(f"a kernel of side {one(kernel)} is made of none of the sides {sides}.")
    return found
