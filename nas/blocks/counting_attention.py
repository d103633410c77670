"""Attention on shapes: what each of its operations costs."""

from __future__ import annotations

from math import prod

from nas.arith import Num, ceil_div
from nas.blocks.counted import CONSTANT, Noting, Shaped
from nas.blocks.shapes import certain, one, words
from nas.errors import NasError


class CountingAttention(Noting):
    """The operations of attention on shapes."""

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

    def position_network(self, name: str, channels: Num, h: Num, w: Num, hidden: int = 512) -> Shaped:
        if self.deploy:
            self.tabulate_positions(name, h, w)
            self.weight(name, h * w, channels, init="table")
            return Shaped((h * w, channels), CONSTANT, self)
        self.weight(f"{name}_hidden_weight", hidden, 2, decay=True)
        self.weight(f"{name}_hidden_bias", hidden, init="zeros")
        self.weight(f"{name}_channels_weight", channels, hidden, decay=True)
        y = self.emit("matmul", (h * w, hidden), macs=h * w * hidden * 2)
        y = self.emit("act", y.shape, y)
        return self.emit("matmul", (h * w, channels), y, macs=h * w * hidden * channels)

    def tabulate_positions(self, name: str, h: Num, w: Num) -> None:
        """Make the table of a network of places; folding operations do."""

    def zeros_before(self, bias: Shaped, count: Num) -> Shaped:
        heads, n, m = bias.shape
        return self.emit("copy", (heads, n + count, m + count), bias)

    def scores(self, q: Shaped, k: Shaped, heads: Num, bias: Shaped | None = None) -> Shaped:
        n, m = _places(q), _places(k)
        if bias is not None and q.times is not None and heads != 1:
            bias = self.emit("copy", (q.times, *bias.shape), bias)  # one for each window
        reads = (q * 1, k) if bias is None else (q, k, bias)
        return self.emit("matmul", (heads, n, m), *reads, macs=n * m * self.channels(q))

    def relu_attention(self, qkv: Shaped, heads: Num, *, quadratic: bool, eps: float = 1e-15) -> Shaped:
        channels, h, w = qkv.shape
        if certain(channels % (3 * heads) != 0):
            raise NasError(
                f"'relu_attention' of {words(qkv.shape)}: not q, k and v of {one(heads)} heads each."
            )
        n, d = h * w, channels // (3 * heads)
        if quadratic:
            k = self.emit("act", (heads, d, n), qkv)
            q = self.emit("act", (heads, d, n), qkv)
            weights = self.emit("matmul", (heads, n, n), k, q, macs=heads * n * n * d)
            share = self.combine("mul", weights, self.total(weights) + eps)
            return self.emit("matmul", (heads * d, h, w), qkv, share, macs=heads * n * n * d)
        v = self.emit("copy", (heads, d + 1, n), qkv)
        k = self.emit("act", (heads, d, n), qkv)
        context = self.emit("matmul", (heads, d + 1, d), v, k, macs=heads * n * d * (d + 1))
        q = self.emit("act", (heads, d, n), qkv)
        y = self.emit("matmul", (heads, d + 1, n), context, q, macs=heads * n * d * (d + 1))
        below = self.view(y, (heads, 1, n)) + eps
        return self.emit("mul", (heads * d, h, w), y, below)

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
