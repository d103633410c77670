"""What counting notes: tensors as their shapes, primitives with what they read and cost, weights."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

from nas.arith import Num
from nas.blocks.advice import of_tensor
from nas.blocks.base import Init, Weight
from nas.blocks.operations import Operations
from nas.blocks.shapes import (
    Shape,
    broadcast,
    check_whole,
)
from nas.errors import NasError

INPUT, CONSTANT = -1, -2
IN_PLACE = (
    "'+=', '*=' and their like change a tensor that others may still read, and training needs as it was; write "
    "'x = x + y' instead of 'x += y'"
)


@dataclass(slots=True)
class Kernel:
    """One primitive a layer executes.

    Attributes:
        op: conv, depthwise, matmul, norm, act, softmax, pool, add, mul, resize, gather, copy.
        shape: of its output; None for a view.
        macs: multiply-accumulates, as PyTorch's counter counts them (convolutions and matrix products).
        reads: positions of earlier primitives whose outputs it needs, beside inputs and weights.
    """

    op: str
    shape: Shape | None
    macs: Num
    reads: tuple[int, ...]

    @property
    def out(self) -> Num:
        """Elements of its output; 0 for a view."""
        return 0 if self.shape is None else prod(self.shape)


class Shaped:
    """A tensor of one image as its shape, and the primitive that made it.

    Attributes:
        at: position of that primitive; -1 for an input of the layer, -2 for a weight.
        norms: batch norms not yet applied, which the linear layer behind takes in.
        times: windows of the image that each have such a tensor; None: it is the image's.
    """

    __slots__ = ("at", "norms", "ops", "shape", "times")

    def __init__(
        self,
        shape: Shape,
        at: int,
        ops: Noting,
        norms: tuple[tuple[str, float], ...] = (),
        times: Num | None = None,
    ) -> None:
        self.shape, self.at, self.ops, self.norms, self.times = shape, at, ops, norms, times

    def __add__(self, other: Any) -> Shaped:
        return self.ops.combine("add", self, other)

    def __mul__(self, other: Any) -> Shaped:
        return self.ops.combine("mul", self, other)

    def __neg__(self) -> Shaped:
        return self.ops.combine("mul", self, -1)

    def __rtruediv__(self, other: Any) -> Shaped:
        return self.ops.combine("mul", self.ops.emit("mul", self.shape, self), other)  # the reciprocal first

    __radd__ = __sub__ = __rsub__ = __add__
    __rmul__ = __truediv__ = __pow__ = __mul__

    def __iadd__(self, other: Any) -> Shaped:
        raise NasError(IN_PLACE)

    __isub__ = __imul__ = __itruediv__ = __ipow__ = __iadd__

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise of_tensor(name)

    def __getitem__(self, index: Any) -> Shaped:
        raise of_tensor("[…]")

    def __matmul__(self, other: Any) -> Shaped:
        raise of_tensor("@")

    def __len__(self) -> int:
        raise of_tensor("len()")

    def __bool__(self) -> bool:
        raise NasError("a branch asks what numbers a tensor holds; branches ask sizes, as 's.stride == 1'.")

    @classmethod
    def __torch_function__(cls, function: Any, *_: Any) -> Any:
        raise of_tensor(getattr(function, "__name__", str(function)))


class Noting(Operations):
    """Notes of primitives and weights.

    Attributes:
        kernels, weights: what has been noted so far.
    """

    def __init__(self, deploy: bool = False) -> None:
        self.deploy = deploy
        self.kernels: list[Kernel] = []
        self.weights: dict[str, Weight] = {}

    def emit(self, op: str, shape: Shape, *reads: Shaped, macs: Num = 0) -> Shaped:
        """Note a primitive and hand on its output."""
        for tensor in reads:
            if tensor.norms:
                raise NasError(
                    f"norm {tensor.norms[0][0]!r} is foldable, but {op!r} reads it; only a mean and linear layers may."
                )
        times = next((tensor.times for tensor in reads if tensor.times is not None), None)
        whole, macs = (shape, macs) if times is None else ((times, *shape), times * macs)
        self.kernels.append(Kernel(op, whole, macs, tuple(t.at for t in reads if t.at >= 0)))
        return Shaped(shape, len(self.kernels) - 1, self, times=times)

    def combine(self, op: str, a: Shaped, other: Any) -> Shaped:
        """An operator of two tensors, or of a tensor and a number."""
        if not isinstance(other, Shaped):
            return self.emit(op, a.shape, a)
        return self.emit(op, broadcast(op, a.shape, other.shape), a, other)

    def view(self, x: Shaped, shape: Shape) -> Shaped:
        """The same tensor in another shape."""
        return Shaped(shape, x.at, self, x.norms, x.times)

    def moved(self, x: Shaped, shape: Shape) -> Shaped:
        """A view that a device may have to copy; its cost is that of a launch."""
        self.kernels.append(Kernel("copy", None, 0, (x.at,) if x.at >= 0 else ()))
        return self.view(x, shape)

    def finish(self, out: Any) -> None:
        """The output is alive to the end.

        Raises:
            NasError: it is no tensor, or a norm on it is not folded yet.
        """
        if not isinstance(out, Shaped):
            raise NasError(f"'forward' returns {type(out).__name__} where a tensor is needed.")
        if out.norms:
            raise NasError(f"norm {out.norms[0][0]!r} is foldable, but no linear layer follows it.")
        if out.at >= 0 and self.kernels:
            last = self.kernels[-1]
            last.reads = (*last.reads, out.at) if out.at != len(self.kernels) - 1 else last.reads

    def weight(
        self,
        name: str,
        *shape: Num,
        init: Init = "linear",
        crop: bool = False,
        decay: bool = False,
        buffer: bool = False,
        rows: int = 1,
    ) -> None:
        """Note a weight.

        Raises:
            NasError: the layer has one of that name, or a size is no whole number.
        """
        if name in self.weights:
            raise NasError(
                f"two weights are called {name!r}; each operation of a layer needs a name of its own."
            )
        check_whole(name, shape)
        self.weights[name] = Weight(shape, init, crop, decay, buffer, rows)
