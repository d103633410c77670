"""The operations of blocks on shapes: each notes the weights it has and the primitives it costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

from nas.arith import Num, ceil_div, maximum
from nas.blocks.base import ACTIVATIONS, Init
from nas.blocks.counted import CONSTANT, INPUT, Kernel, Shaped
from nas.blocks.counting_attention import CountingAttention
from nas.blocks.projections import BN_EPS, LN_EPS
from nas.blocks.shapes import (
    certain,
    check_conv,
    check_identity,
    check_joined,
    check_room,
    check_tokens,
    one,
    shrinkings,
    words,
)
from nas.errors import NasError

__all__ = ["CONSTANT", "INPUT", "Counting", "Kernel", "Shaped"]


class Counting(CountingAttention):
    """Operations on shapes."""

    # Projections and norms

    def conv(
        self,
        name: str,
        x: Shaped,
        out: Num | tuple[Num, ...],
        kernel: Num = 1,
        stride: Num = 1,
        *,
        groups: Num = 1,
        depthwise: bool = False,
        bias: bool = False,
        decay: bool = True,
        padding: Num | None = None,
        far: Num = 0,
        inputs: tuple[Num, ...] | None = None,
        init: Init = "conv",
    ) -> Shaped:
        if len(x.shape) != 3:
            raise NasError(f"convolution {name!r} takes a map, not {words(x.shape)}.")
        cin, h, w = x.shape
        if far != 0 and stride != 1:
            x = self.padded_far(x, kernel, stride)
        reach = 1 if depthwise else cin // groups
        rows = out if isinstance(out, tuple) else (out,)
        out = prod(rows)
        sides = (*(inputs or (reach,)), kernel, kernel)
        self.weight(f"{name}_weight", *rows, *sides, init=init, crop=True, decay=decay, rows=len(rows))
        check_conv(name, cin, out, kernel, cin if depthwise else groups, padding is not None)
        if inputs is not None and certain(prod(inputs) != reach):
            raise NasError(
                f"convolution {name!r}: inputs of {words(inputs)} where {one(reach)} channels come in."
            )
        if bias:
            self.weight(f"{name}_bias", *rows, init="zeros")
        if padding is None:
            shape = (out, ceil_div(h, stride), ceil_div(w, stride))
        else:
            shape = (out, *((side + 2 * padding - kernel) // stride + 1 for side in (h, w)))
            check_room(name, x.shape, kernel, padding)
        macs = prod(shape) * (reach * kernel * kernel)
        return self.emit("depthwise" if depthwise else "conv", shape, x, macs=macs)

    def shrunk_conv(
        self,
        name: str,
        x: Shaped,
        kernel: Num,
        stride: Num = 1,
        *,
        kernels: Sequence[int],
        decay: bool = True,
    ) -> Shaped:
        channels, h, w = x.shape
        self.weight(
            f"{name}_weight", channels, 1, kernels[0], kernels[0], init="conv", crop=True, decay=decay
        )
        made: list[Shaped] = []
        for large, small in shrinkings(kernel, kernels):
            taps = small * small
            self.weight(f"{name}_{large}to{small}", taps, taps, init="eye", decay=decay)
            centre = self.emit("copy", (channels, taps), *made)
            made = [self.emit("matmul", (channels, taps), centre, macs=channels * taps * taps)]
        shape = (channels, ceil_div(h, stride), ceil_div(w, stride))
        return self.emit("depthwise", shape, x, *made, macs=prod(shape) * (kernel * kernel))

    def padded_far(self, x: Shaped, kernel: Num, stride: Num) -> Shaped:
        """What a convolution reads whose padding is odd: a copy of the map with it."""
        c, h, w = x.shape
        down, across = (maximum((ceil_div(side, stride) - 1) * stride + kernel - side, 0) for side in (h, w))
        if down == across and down % 2 == 0:
            return x
        return self.emit("copy", (c, h + down, w + across), x)

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
        return Shaped(x.shape, x.at, self, times=x.times)

    def batch_norm(
        self, name: str, x: Shaped, *, gamma: Init = "ones", eps: float = BN_EPS, foldable: bool = False
    ) -> Shaped:
        if self.deploy and foldable:
            return Shaped(x.shape, x.at, self, (*x.norms, (name, eps)), x.times)
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

    def map_norm(self, name: str, x: Shaped, eps: float = LN_EPS) -> Shaped:
        self.weight(f"{name}_weight", x.shape[0], init="ones")
        self.weight(f"{name}_bias", x.shape[0], init="zeros")
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
        return Shaped(y.shape, y.at, self, x.norms, y.times)

    def halve(self, x: Shaped) -> Shaped:
        return self.emit("pool", (x.shape[0], ceil_div(x.shape[1], 2), ceil_div(x.shape[2], 2)), x)

    def neighbours(self, x: Shaped) -> Shaped:
        return self.emit("pool", x.shape, x)

    def pool_to(self, x: Shaped, h: Num, w: Num) -> Shaped:
        if certain((h > x.shape[1]) | (w > x.shape[2])):
            raise NasError(f"'pool_to' {one(h)}×{one(w)} of {words(x.shape)}, which is smaller.")
        return self.emit("pool", (x.shape[0], h, w), x)

    def pad_to(self, x: Shaped, h: Num, w: Num, *, apart: bool = False) -> Shaped:
        if certain((h < x.shape[1]) | (w < x.shape[2])):
            raise NasError(f"'pad_to' {one(h)}×{one(w)} of {words(x.shape)}, which is larger.")
        if h == x.shape[1] and w == x.shape[2]:
            return x
        return self.emit("copy", (x.shape[0], h, w), x)

    def every(self, x: Shaped, stride: Num) -> Shaped:
        return self.view(x, (x.shape[0], ceil_div(x.shape[1], stride), ceil_div(x.shape[2], stride)))

    def resize(self, x: Shaped, h: Num, w: Num, *, corners: bool = False, nearest: bool = False) -> Shaped:
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

    def split_channels(self, x: Shaped, sizes: Sequence[Num]) -> list[Shaped]:
        if certain(sum(sizes) != x.shape[0]):
            given = " and ".join(str(one(size)) for size in sizes)
            raise NasError(f"'split_channels' of {words(x.shape)} in parts of {given} channels.")
        return [self.view(x, (size, *x.shape[1:])) for size in sizes]

    def full_precision(self, function: Callable[..., Shaped], *tensors: Shaped) -> Shaped:
        return function(*tensors)

    def total(self, x: Shaped) -> Shaped:
        return self.emit("pool", (*x.shape[:-1], 1), x)

    def head(self, x: Shaped, index: int) -> Shaped:
        if certain(x.shape[0] <= index):
            raise NasError(f"'head' {index} of {words(x.shape)}, which has {one(x.shape[0])}.")
        return self.view(x, (1, *x.shape[1:]))

    def in_windows(
        self, function: Callable[..., Any], maps: Sequence[Shaped], sides: Sequence[tuple[Num, Num]]
    ) -> Any:
        parts = [self._cut(x, side) for x, side in zip(maps, sides)]
        for part, x in zip(parts[1:], maps[1:]):
            if part.times is not parts[0].times and certain((part.times or 1) != (parts[0].times or 1)):
                raise NasError(
                    f"'in_windows': {words(x.shape)} has other windows than {words(maps[0].shape)}."
                )
        done = function(*parts)
        several = isinstance(done, list | tuple)
        back = [self._put_together(x, y) for x, y in zip(maps, done if several else [done])]
        return back if several else back[0]

    def _cut(self, x: Shaped, side: tuple[Num, Num]) -> Shaped:
        if len(x.shape) != 3 or x.times is not None:
            raise NasError(f"'in_windows' takes whole maps, not {words(x.shape)}.")
        down, across = (ceil_div(whole, part) for whole, part in zip(x.shape[1:], side))
        padded = (x.shape[0], down * side[0], across * side[1])
        if padded[1] != x.shape[1] or padded[2] != x.shape[2]:
            x = self.emit("copy", padded, x)
        times = down * across
        if times == 1:
            return self.view(x, (x.shape[0], *side))
        y = self.emit("copy", padded, x)
        return Shaped((x.shape[0], *side), y.at, self, times=times)

    def _put_together(self, x: Shaped, y: Shaped) -> Shaped:
        shape = (y.shape[0], *x.shape[1:])
        if y.times is None:
            return self.view(y, shape)
        back = self.emit("copy", y.shape, y)  # of all windows
        return Shaped(shape, back.at, self)

    # Layouts

    def to_patches(self, x: Shaped, side: Num) -> Shaped:
        c, h, w = x.shape
        if certain((h % side != 0) | (w % side != 0)):
            raise NasError(f"'to_patches' of {words(x.shape)}, which is no whole patches of {one(side)}.")
        return self.emit("copy", (c, side * side, h * w // (side * side)), x)

    def from_patches(self, x: Shaped, h: Num, w: Num, side: Num) -> Shaped:
        return self.emit("copy", (x.shape[0], h, w), x)

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
