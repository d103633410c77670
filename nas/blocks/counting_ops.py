"""The operations of blocks on shapes: each notes the weights it has and the primitives it costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from nas.arith import Num, ceil_div
from nas.blocks.advice import of_tensor
from nas.blocks.base import ACTIVATIONS, Init, Weight
from nas.blocks.operations import BN_EPS, LN_EPS, Operations
from nas.blocks.shapes import (
    Shape,
    broadcast,
    certain,
    check_conv,
    check_identity,
    check_joined,
    check_room,
    check_tokens,
    check_whole,
    one,
    words,
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
    """

    __slots__ = ("at", "norms", "ops", "shape")

    def __init__(
        self, shape: Shape, at: int, ops: Counting, norms: tuple[tuple[str, float], ...] = ()
    ) -> None:
        self.shape, self.at, self.ops, self.norms = shape, at, ops, norms

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


class Counting(Operations):
    """Operations on shapes.

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
        self.kernels.append(Kernel(op, shape, macs, tuple(t.at for t in reads if t.at >= 0)))
        return Shaped(shape, len(self.kernels) - 1, self)

    def combine(self, op: str, a: Shaped, other: Any) -> Shaped:
        """An operator of two tensors, or of a tensor and a number."""
        if not isinstance(other, Shaped):
            return self.emit(op, a.shape, a)
        return self.emit(op, broadcast(op, a.shape, other.shape), a, other)

    def view(self, x: Shaped, shape: Shape) -> Shaped:
        """The same tensor in another shape."""
        return Shaped(shape, x.at, self, x.norms)

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
        self.weights[name] = Weight(shape, init, crop, decay, buffer)

    # Projections and norms

    def conv(
        self,
        name: str,
        x: Shaped,
        out: Num,
        kernel: Num = 1,
        stride: Num = 1,
        *,
        groups: Num = 1,
        depthwise: bool = False,
        bias: bool = False,
        decay: bool = True,
        padding: Num | None = None,
    ) -> Shaped:
        if len(x.shape) != 3:
            raise NasError(f"convolution {name!r} takes a map, not {words(x.shape)}.")
        cin, h, w = x.shape
        reach = 1 if depthwise else cin // groups
        self.weight(f"{name}_weight", out, reach, kernel, kernel, init="conv", crop=True, decay=decay)
        check_conv(name, cin, out, kernel, cin if depthwise else groups, padding is not None)
        if bias:
            self.weight(f"{name}_bias", out, init="zeros")
        if padding is None:
            shape = (out, ceil_div(h, stride), ceil_div(w, stride))
        else:
            shape = (out, *((side + 2 * padding - kernel) // stride + 1 for side in (h, w)))
            check_room(name, x.shape, kernel, padding)
        macs = prod(shape) * (reach * kernel * kernel)
        return self.emit("depthwise" if depthwise else "conv", shape, x, macs=macs)

    def check_identity(self, name: str, x: Shaped, out: Num, stride: Num) -> None:
        check_identity(name, self.channels(x), out, stride)

    def linear(
        self,
        name: str,
        x: Shaped,
        out: Num | tuple[Num, Num],
        *,
        bias: bool = True,
        inputs: tuple[Num, Num] | None = None,
        init: Init = "linear",
        decay: bool = True,
    ) -> Shaped:
        rows = out if isinstance(out, tuple) else (out,)
        self.weight(f"{name}_weight", *rows, *(inputs or (x.shape[-1],)), init=init, decay=decay)
        if bias:
            self.weight(f"{name}_bias", *rows, init="zeros")
        if x.norms:
            if not bias:
                raise NasError(f"norm {x.norms[0][0]!r} is folded into {name!r}, which needs a bias for it.")
            self.take_in(name, x.norms)
        shape = (*x.shape[:-1], prod(rows))
        return self.emit("matmul", shape, self.plain(x), macs=prod(shape) * x.shape[-1])

    def take_in(self, name: str, norms: tuple[tuple[str, float], ...]) -> None:
        """Fold norms into the linear layer `name` behind them; folding operations do."""

    def plain(self, x: Shaped) -> Shaped:
        """The tensor without norms that are folded."""
        return Shaped(x.shape, x.at, self)

    def batch_norm(
        self, name: str, x: Shaped, *, gamma: Init = "ones", eps: float = BN_EPS, foldable: bool = False
    ) -> Shaped:
        if self.deploy and foldable:
            return Shaped(x.shape, x.at, self, (*x.norms, (name, eps)))
        channels = self.channels(x)
        self.weight(f"{name}_weight", channels, init=gamma)
        self.weight(f"{name}_bias", channels, init="zeros")
        self.weight(f"{name}_mean", channels, init="zeros", buffer=True)
        self.weight(f"{name}_var", channels, init="ones", buffer=True)
        return self.emit("norm", x.shape, x)

    def token_norm(self, name: str, x: Shaped, kind: Num = 0, eps: float = LN_EPS) -> Shaped:
        self.weight(f"{name}_weight", x.shape[-1], init="ones")
        self.weight(f"{name}_bias", x.shape[-1], init="zeros")
        return self.emit("norm", x.shape, x)

    def scale(self, name: str, x: Shaped) -> Shaped:
        self.weight(name, self.channels(x), init="small")
        return self.emit("mul", x.shape, x)

    def param(
        self, name: str, *shape: Num, init: Init = "linear", crop: bool = False, decay: bool = False
    ) -> Shaped:
        self.weight(name, *shape, init=init, crop=crop, decay=decay)
        return Shaped(shape, CONSTANT, self)

    # Elementwise and pooling

    def channels(self, x: Shaped) -> Num:
        return x.shape[-1] if len(x.shape) == 2 else x.shape[0]

    def act(self, x: Shaped, kind: Num) -> Shaped:
        if isinstance(kind, str):
            raise NasError(f"'act' takes a position in ACTIVATIONS ({', '.join(ACTIVATIONS)}), not {kind!r}.")
        return x if kind == 0 else self.emit("act", x.shape, x)

    def gate(self, x: Shaped, kind: str) -> Shaped:
        return self.emit("act", x.shape, x)

    def softmax(self, x: Shaped) -> Shaped:
        return self.emit("softmax", x.shape, x)

    def mean(self, x: Shaped, keep: bool = False) -> Shaped:
        shape = (self.channels(x), 1, 1) if keep else (self.channels(x),)
        y = self.emit("pool", shape, self.plain(x))
        return Shaped(y.shape, y.at, self, x.norms)

    def halve(self, x: Shaped) -> Shaped:
        return self.emit("pool", (x.shape[0], ceil_div(x.shape[1], 2), ceil_div(x.shape[2], 2)), x)

    def neighbours(self, x: Shaped) -> Shaped:
        return self.emit("pool", x.shape, x)

    def every(self, x: Shaped, stride: Num) -> Shaped:
        return self.view(x, (x.shape[0], ceil_div(x.shape[1], stride), ceil_div(x.shape[2], stride)))

    def resize(self, x: Shaped, h: Num, w: Num) -> Shaped:
        return self.emit("resize", (x.shape[0], h, w), x)

    def concat(self, parts: Sequence[Shaped]) -> Shaped:
        axis = -1 if len(parts[0].shape) == 2 else 0
        check_joined([part.shape for part in parts], axis)
        total = sum(part.shape[axis] for part in parts)
        shape = (*parts[0].shape[:-1], total) if axis else (total, *parts[0].shape[1:])
        return self.emit("copy", shape, *parts)

    def tokens(
        self, name: str, like: Shaped, count: Num = 1, *, init: Init = "table", decay: bool = False
    ) -> Shaped:
        return self.param(name, count, self.channels(like), init=init, decay=decay)

    def join_tokens(self, parts: Sequence[Shaped]) -> Shaped:
        for part in parts:
            check_tokens("join_tokens", part.shape)
        check_joined([part.shape for part in parts], 0, "join_tokens")
        return self.emit("copy", (sum(part.shape[0] for part in parts), parts[0].shape[1]), *parts)

    def split_tokens(self, x: Shaped, count: Num) -> tuple[Shaped, Shaped]:
        check_tokens("split_tokens", x.shape)
        if certain(count > x.shape[0]):
            raise NasError(f"'split_tokens' of {one(count)} tokens from {words(x.shape)}, which has fewer.")
        return self.view(x, (count, x.shape[1])), self.view(x, (x.shape[0] - count, x.shape[1]))

    def chunk(self, x: Shaped, parts: Num) -> list[Shaped]:
        if certain(x.shape[0] % parts != 0):
            raise NasError(f"'chunk' of {words(x.shape)}, whose channels are no {parts} equal parts.")
        return [self.view(x, (x.shape[0] // parts, *x.shape[1:])) for _ in range(parts)]

    def full_precision(self, function: Callable[..., Shaped], *tensors: Shaped) -> Shaped:
        return function(*tensors)

    # Layouts

    def to_tokens(self, x: Shaped) -> Shaped:
        return self.moved(x, (x.shape[1] * x.shape[2], x.shape[0]))

    def to_map(self, x: Shaped, h: Num, w: Num) -> Shaped:
        return self.moved(x, (x.shape[1], h, w))

    def unroll(self, x: Shaped, span: Num) -> Shaped:
        shape = (x.shape[1] * x.shape[2], x.shape[0])
        return self.moved(x, shape) if span == 1 else self.emit("copy", shape, x)

    def reroll(self, x: Shaped, h: Num, w: Num, span: Num) -> Shaped:
        shape = (x.shape[1], h, w)
        return self.moved(x, shape) if span == 1 else self.emit("copy", shape, x)

    def pool_tokens(self, x: Shaped, stride: Num) -> Shaped:
        return self.emit("pool", (x.shape[0] // (stride * stride), x.shape[1]), x)

    # Attention

    def depthwise_tokens(
        self, name: str, x: Shaped, heads: Num, dim: Num, h: Num, w: Num, kernel: int
    ) -> Shaped:
        self.weight(f"{name}_weight", heads, dim, kernel, kernel, init="conv", crop=True)
        return self.emit("depthwise", x.shape, x, macs=prod(x.shape) * (kernel * kernel))

    def offset_bias(self, name: str, heads: Num, h: Num, w: Num) -> Shaped:
        self.weight(name, heads, 2 * h - 1, 2 * w - 1, init="table", crop=True)
        return self.emit("gather", (heads, h * w, h * w))

    def distance_bias(self, name: str, heads: Num, h: Num, w: Num, step: Num = 1) -> Shaped:
        self.weight(name, heads, h, w, init="zeros")
        return self.emit("gather", (heads, ceil_div(h, step) * ceil_div(w, step), h * w))

    def offset_network(self, name: str, heads: Num, h: Num, w: Num, hidden: int = 512) -> Shaped:
        if self.deploy:
            self.tabulate(name, heads, h, w)
            self.weight(name, heads, 2 * h - 1, 2 * w - 1, init="table", crop=True)
            return self.emit("gather", (heads, h * w, h * w))
        offsets = (2 * h - 1) * (2 * w - 1)
        self.weight(f"{name}_hidden_weight", hidden, 2, decay=True)
        self.weight(f"{name}_hidden_bias", hidden, init="zeros")
        self.weight(f"{name}_heads_weight", heads, hidden, decay=True)
        y = self.emit("matmul", (offsets, hidden), macs=offsets * hidden * 2)
        y = self.emit("act", y.shape, y)
        y = self.emit("matmul", (offsets, heads), y, macs=offsets * hidden * heads)
        y = self.emit("mul", y.shape, self.emit("act", y.shape, y))
        return self.emit("gather", (heads, h * w, h * w), y)

    def tabulate(self, name: str, heads: Num, h: Num, w: Num) -> None:
        """Make the table of a network of offsets; folding operations do."""

    def scores(self, q: Shaped, k: Shaped, heads: Num, bias: Shaped | None = None) -> Shaped:
        n, m = _places(q), _places(k)
        reads = (q * 1, k) if bias is None else (q, k, bias)
        return self.emit("matmul", (heads, n, m), *reads, macs=n * m * self.channels(q))

    def talk(self, name: str, weights: Shaped) -> Shaped:
        heads = weights.shape[0]
        self.weight(f"{name}_weight", heads, heads, 1, 1, init="conv", decay=True)
        self.weight(f"{name}_bias", heads, init="zeros")
        return self.emit("conv", weights.shape, weights, macs=prod(weights.shape) * heads)

    def weigh(self, v: Shaped, weights: Shaped) -> Shaped:
        heads, n, m = weights.shape
        y = self.emit("matmul", (n, v.shape[1]), v, weights, macs=n * m * v.shape[1])
        return y if heads == 1 or n == 1 else self.emit("copy", y.shape, y)

    def weigh_map(self, v: Shaped, weights: Shaped, h: Num, w: Num) -> Shaped:
        return self.emit("matmul", (v.shape[0], h, w), v, weights, macs=h * w * weights.shape[2] * v.shape[0])

    def window_scores(self, q: Shaped, k: Shaped, windows: Num, heads: Num) -> Shaped:
        n, m = q.shape[0] // windows, k.shape[0] // windows
        return self.emit("matmul", (windows * heads, n, m), q * 1, k, macs=n * k.shape[0] * q.shape[1])

    def window_weigh(self, v: Shaped, weights: Shaped, windows: Num, heads: Num) -> Shaped:
        n, m = weights.shape[1] * windows, weights.shape[2]
        y = self.emit("matmul", (n, v.shape[1]), v, weights, macs=n * m * v.shape[1])
        together = windows * heads == 1 or n == windows
        return y if together else self.emit("copy", y.shape, y)


def _places(x: Shaped) -> Num:
    """Pixels of a map or number of tokens."""
    return x.shape[1] * x.shape[2] if len(x.shape) == 3 else x.shape[0]
