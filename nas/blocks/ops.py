"""The operations of blocks on tensors.

One instance carries what a forward pass needs besides weights and sizes: whether batch norms use the
batch's statistics and how fast the running ones follow. A layer binds it to its weights (`Ops.bind`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from functools import lru_cache, partial
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from nas.blocks.base import ACTIVATIONS, TOKEN_NORMS, Init
from nas.blocks.operations import Operations
from nas.blocks.projections import BN_EPS, LN_EPS
from nas.blocks.shapes import shrinkings
from nas.blocks.windows import cut, in_memory, put_together

POINTWISE_PIXELS = (
    64  # up to this many pixels a product was faster than compiling a convolution, on two CPU cores
)

LOST = 1e-7

Pair = tuple[Tensor, Tensor]

_ACT: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "gelu": F.gelu,
    "silu": F.silu,
    "hard_swish": F.hardswish,
    "gelu_tanh": partial(F.gelu, approximate="tanh"),
}
_GATE: dict[str, Callable[[Tensor], Tensor]] = {"sigmoid": torch.sigmoid, "hard_sigmoid": F.hardsigmoid}


class Ops(Operations):
    """Tensor operations for one forward pass; what they compute says `nas.blocks.operations`.

    Args:
        training: batch norms normalise by the batch and update their running statistics.
        momentum: weight of the batch in the running statistics.
        together: batch norm over the batches of several processes, in training; see `nas.supernet.parallel`.
        answers: list that is given the answers of a classifier and of its distilled twin, each alone.
    """

    def __init__(
        self,
        training: bool = False,
        momentum: float = 0.1,
        together: Callable[[Tensor, Pair, Pair, float, float], Tensor] | None = None,
        answers: list[Tensor] | None = None,
    ) -> None:
        self.training, self.momentum, self.together = training, momentum, together
        self.answers = answers
        self.parts: Mapping[str, Any] = {}

    def bind(self, parts: Mapping[str, Any], deploy: bool = False) -> Self:
        """The same operations with the weights of one layer, in the form these are of."""
        bound = object.__new__(type(self))
        bound.__dict__.update(self.__dict__, parts=parts, deploy=deploy)
        return bound

    def answered(self, answers: Sequence[Tensor]) -> None:
        if self.answers is not None:
            self.answers[:] = answers

    # Projections and norms

    def conv(
        self,
        name: str,
        x: Tensor,
        out: int | tuple[int, ...],
        kernel: int = 1,
        stride: int = 1,
        *,
        groups: int = 1,
        depthwise: bool = False,
        bias: bool = False,
        decay: bool = True,
        padding: int | None = None,
        far: int = 0,
        inputs: tuple[int, ...] | None = None,
        init: Init = "conv",
    ) -> Tensor:
        weight, shift = self.parts[f"{name}_weight"], self.parts[f"{name}_bias"] if bias else None
        if isinstance(out, tuple):
            weight, shift = weight.flatten(0, len(out) - 1), None if shift is None else shift.flatten()
        weight = weight.flatten(1, len(inputs)) if inputs else weight
        if far and stride != 1:
            x, padding = _padded_far(x, kernel, stride)
        return self.convolve(x, weight, shift, stride, x.shape[1] if depthwise else groups, padding)

    def shrunk_conv(
        self,
        name: str,
        x: Tensor,
        kernel: int,
        stride: int = 1,
        *,
        kernels: Sequence[int],
        decay: bool = True,
    ) -> Tensor:
        weight = shrunk_kernel(self.parts, name, kernel, kernels)
        return self.convolve(x, weight, None, stride, x.shape[1])

    def convolve(
        self,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None = None,
        stride: int = 1,
        groups: int = 1,
        padding: int | None = None,
    ) -> Tensor:
        """Convolution of a map with given weights, padded by kernel // 2 unless told."""
        depthwise = groups == x.shape[1] and groups == weight.shape[0] and padding is None
        if self.training and depthwise and weight.shape[1] == 1 and weight.shape[-1] > 1:
            weight = _taps_in_reach(x, weight)
            if x.shape[2:] == (1, 1):
                y = x * weight.flatten()[:, None, None]
                return y if bias is None else y + bias[:, None, None]
        bare = stride == 1 and groups == 1 and not (weight.shape[-1] // 2 if padding is None else padding)
        if bare and _as_product(x, weight, self.training):
            return F.linear(x.permute(0, 2, 3, 1), weight.flatten(1), bias).permute(0, 3, 1, 2)
        padding = weight.shape[-1] // 2 if padding is None else padding
        return F.conv2d(x, weight, bias, stride=stride, padding=padding, groups=groups)

    def linear(
        self,
        name: str,
        x: Tensor,
        out: int | tuple[int, int],
        *,
        bias: bool = True,
        inputs: tuple[int, int] | None = None,
        init: Init = "linear",
        decay: bool = True,
    ) -> Tensor:
        weight = self.parts[f"{name}_weight"]
        weight = weight.flatten(0, 1) if isinstance(out, tuple) else weight
        shift = self.parts[f"{name}_bias"].flatten() if bias else None
        return F.linear(x, weight.flatten(1), shift)

    def batch_norm(
        self, name: str, x: Tensor, *, gamma: Init = "ones", eps: float = BN_EPS, foldable: bool = False
    ) -> Tensor:
        if self.deploy and foldable:
            return x
        if x.dim() == 3:
            return self.batch_norm(name, x.flatten(0, 1), eps=eps).view_as(x)
        weight, bias, mean, var = (self.parts[f"{name}_{part}"] for part in ("weight", "bias", "mean", "var"))
        if self.training and self.together is not None:
            return self.together(x, (mean, var), (weight, bias), self.momentum, eps)
        return F.batch_norm(x, mean, var, weight, bias, self.training, self.momentum, eps)

    def token_norm(self, name: str, x: Tensor, kind: int = 0, eps: float = LN_EPS) -> Tensor:
        weight, bias = self.parts[f"{name}_weight"], self.parts[f"{name}_bias"]
        if TOKEN_NORMS[kind] == "layer_norm":
            return F.layer_norm(x, x.shape[-1:], weight, bias, eps)
        return F.layer_norm(x, x.shape[1:], None, None, eps) * weight + bias

    def map_norm(self, name: str, x: Tensor, eps: float = LN_EPS) -> Tensor:
        return F.group_norm(x, 1, self.parts[f"{name}_weight"], self.parts[f"{name}_bias"], eps)

    def scale(self, name: str, x: Tensor) -> Tensor:
        factor = self.parts[name]
        return x * (factor[:, None, None] if x.dim() == 4 else factor)

    def param(
        self, name: str, *shape: int, init: Init = "linear", crop: bool = False, decay: bool = False
    ) -> Tensor:
        weight: Tensor = self.parts[name]
        return weight

    # Elementwise and pooling

    def channels(self, x: Tensor) -> int:
        return x.shape[-1] if x.dim() == 3 else x.shape[1]

    def act(self, x: Tensor, kind: int) -> Tensor:
        name = ACTIVATIONS[kind]
        return x if name == "none" else _ACT[name](x)

    def gate(self, x: Tensor, kind: str) -> Tensor:
        return _GATE[kind](x)

    def softmax(self, x: Tensor) -> Tensor:
        return x.softmax(-1)

    def mean(self, x: Tensor, keep: bool = False) -> Tensor:
        if keep:
            return F.adaptive_avg_pool2d(x, 1)
        return x.mean((2, 3)) if x.dim() == 4 else x.mean(1)

    def halve(self, x: Tensor) -> Tensor:
        odd = (x.shape[2] % 2, x.shape[3] % 2)
        return F.avg_pool2d(x, 2, padding=odd)

    def neighbours(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)

    def pool_to(self, x: Tensor, h: int, w: int) -> Tensor:
        step = (x.shape[2] // h, x.shape[3] // w)
        reach = (x.shape[2] - (h - 1) * step[0], x.shape[3] - (w - 1) * step[1])
        return F.avg_pool2d(x, reach, step)

    def pad_to(self, x: Tensor, h: int, w: int, *, apart: bool = False) -> Tensor:
        if (h, w) == tuple(x.shape[2:]):
            return x
        by = (0, w - x.shape[3], 0, h - x.shape[2])
        return F.pad(x.flatten(0, 1), by).unflatten(0, (-1, x.shape[1])) if apart else F.pad(x, by)

    def every(self, x: Tensor, stride: int) -> Tensor:
        return x[:, :, ::stride, ::stride]

    def resize(self, x: Tensor, h: int, w: int, *, corners: bool = False, nearest: bool = False) -> Tensor:
        if nearest:
            return F.interpolate(x, size=(h, w), mode="nearest")
        return F.interpolate(x, size=(h, w), mode="bilinear", align_corners=corners)

    def concat(self, parts: Sequence[Tensor]) -> Tensor:
        return torch.cat(list(parts), dim=-1 if parts[0].dim() == 3 else 1)

    def tokens(
        self, name: str, like: Tensor, count: int = 1, *, init: Init = "table", decay: bool = False
    ) -> Tensor:
        weight: Tensor = self.parts[name]
        return weight.expand(like.shape[0], -1, -1)

    def join_tokens(self, parts: Sequence[Tensor]) -> Tensor:
        return torch.cat(list(parts), 1)

    def split_tokens(self, x: Tensor, count: int) -> tuple[Tensor, Tensor]:
        return x[:, :count], x[:, count:]

    def chunk(self, x: Tensor, parts: int) -> list[Tensor]:
        return list(x.chunk(parts, 1))

    def split_channels(self, x: Tensor, sizes: Sequence[int]) -> list[Tensor]:
        return list(x.split(list(sizes), 1))

    def full_precision(self, function: Callable[..., Tensor], *tensors: Tensor) -> Tensor:
        device = tensors[0].device.type
        with nullcontext() if device == "meta" else torch.autocast(device, enabled=False):
            wide = [t.float() if t.dtype in (torch.float16, torch.bfloat16) else t for t in tensors]
            return function(*wide).to(tensors[0].dtype)

    def total(self, x: Tensor) -> Tensor:
        return x.sum(-1, keepdim=True)

    def head(self, x: Tensor, index: int) -> Tensor:
        return x[index : index + 1]

    def in_windows(
        self, function: Callable[..., Any], maps: Sequence[Tensor], sides: Sequence[tuple[int, int]]
    ) -> Any:
        parts, grids = zip(*(cut(x, side) for x, side in zip(maps, sides)))
        done = function(*parts)
        back = [
            put_together(y, grid, *x.shape[2:])
            for x, y, grid in zip(maps, done if isinstance(done, list | tuple) else [done], grids)
        ]
        return back if isinstance(done, list | tuple) else back[0]

    # Layouts

    def to_patches(self, x: Tensor, side: int) -> Tensor:
        cut = x.unflatten(3, (-1, side)).unflatten(2, (-1, side))
        return in_memory(cut.permute(0, 1, 3, 5, 2, 4)).flatten(4, 5).flatten(2, 3)

    def from_patches(self, x: Tensor, h: int, w: int, side: int) -> Tensor:
        parted = x.unflatten(3, (h // side, w // side)).unflatten(2, (side, side))
        return in_memory(parted.permute(0, 1, 4, 2, 5, 3)).flatten(4, 5).flatten(2, 3)

    def to_tokens(self, x: Tensor) -> Tensor:
        return x.permute(0, 2, 3, 1).flatten(1, 2)

    def to_map(self, x: Tensor, h: int, w: int) -> Tensor:
        return x.unflatten(1, (h, w)).permute(0, 3, 1, 2)

    def unroll(self, x: Tensor, span: int) -> Tensor:
        bits = span.bit_length() - 1
        sides = [side for size in x.shape[2:] for side in (size // span, *[2] * bits)]
        pairs = [axis for bit in range(bits) for axis in (2 + bits - bit, 3 + 2 * bits - bit)]
        order = (0, *pairs, 2, 3 + bits, 1)
        return x.reshape(*x.shape[:2], *sides).permute(order).reshape(x.shape[0], -1, x.shape[1])

    def reroll(self, x: Tensor, h: int, w: int, span: int) -> Tensor:
        bits = span.bit_length() - 1
        y_bits, x_bits = ([1 + 2 * bit + axis for bit in reversed(range(bits))] for axis in (0, 1))
        last = 1 + 2 * bits
        order = (0, last + 2, last, *y_bits, last + 1, *x_bits)
        split = x.reshape(x.shape[0], *[2] * (2 * bits), h // span, w // span, x.shape[2])
        return split.permute(order).reshape(x.shape[0], x.shape[2], h, w)

    def pool_tokens(self, x: Tensor, stride: int) -> Tensor:
        return x.unflatten(1, (stride * stride, -1)).amax(1)

    # Attention

    def depthwise_tokens(
        self, name: str, x: Tensor, heads: int, dim: int, h: int, w: int, kernel: int
    ) -> Tensor:
        weight = self.parts[f"{name}_weight"].flatten(0, 1).unsqueeze(1)
        return self.to_tokens(self.convolve(self.to_map(x, h, w), weight, groups=x.shape[2]))

    def offset_bias(self, name: str, heads: int, h: int, w: int) -> Tensor:
        return _by_offset(self.parts[name], h, w)

    def distance_bias(self, name: str, heads: int, h: int, w: int, step: int = 1) -> Tensor:
        table = self.parts[name]
        return table.flatten(1)[:, distance_index(h, w, step, table.device)].unflatten(1, (-1, h * w))

    def offset_network(self, name: str, heads: int, h: int, w: int, hidden: int = 512) -> Tensor:
        if self.deploy:
            return _by_offset(self.parts[name], h, w)
        return _by_offset(offset_table(self.parts, name, h, w), h, w)

    def position_network(self, name: str, channels: int, h: int, w: int, hidden: int = 512) -> Tensor:
        table: Tensor = self.parts[name] if self.deploy else position_table(self.parts, name, h, w)
        return table

    def zeros_before(self, bias: Tensor, count: int) -> Tensor:
        return F.pad(bias, (count, 0, count, 0))

    def scores(self, q: Tensor, k: Tensor, heads: int, bias: Tensor | None = None) -> Tensor:
        q, k = _by_head(q, heads), _by_head(k, heads)
        alpha = q.shape[2] ** -0.5
        if bias is None:
            return torch.bmm(q * alpha, k.transpose(1, 2))
        bias = bias.expand(q.shape[0] // heads, *bias.shape).flatten(0, 1)
        return torch.baddbmm(bias, q, k.transpose(1, 2), alpha=alpha)

    def relu_attention(self, qkv: Tensor, heads: int, *, quadratic: bool, eps: float = 1e-15) -> Tensor:
        attend = partial(_pairs if quadratic else _linear, heads=heads, eps=eps)
        y: Tensor = self.full_precision(attend, qkv)
        return y

    def talk(self, name: str, weights: Tensor) -> Tensor:
        mix, bias = self.parts[f"{name}_weight"], self.parts[f"{name}_bias"]
        return self.convolve(weights.unflatten(0, (-1, mix.shape[0])), mix, bias).flatten(0, 1)

    def weigh(self, v: Tensor, weights: Tensor) -> Tensor:
        y = torch.bmm(weights, _by_head(v, weights.shape[0] // v.shape[0]))
        return y.unflatten(0, (v.shape[0], -1)).transpose(1, 2).flatten(2)

    def weigh_map(self, v: Tensor, weights: Tensor, h: int, w: int) -> Tensor:
        values = _by_head(v, weights.shape[0] // v.shape[0]).transpose(1, 2)
        return torch.bmm(values, weights.transpose(1, 2)).reshape(v.shape[0], -1, h, w)

    def window_scores(self, q: Tensor, k: Tensor, windows: int, heads: int) -> Tensor:
        q, k = _windows(q, windows, heads), _windows(k, windows, heads)
        return torch.bmm(q * q.shape[2] ** -0.5, k.transpose(1, 2))

    def window_weigh(self, v: Tensor, weights: Tensor, windows: int, heads: int) -> Tensor:
        y = torch.bmm(weights, _windows(v, windows, heads))
        y = y.unflatten(0, (v.shape[0], windows, heads)).permute(0, 3, 1, 2, 4)
        return y.reshape(v.shape[0], y.shape[1] * windows, -1)


def _as_product(x: Tensor, weight: Tensor, training: bool) -> bool:
    """Whether a pointwise convolution is faster as a matrix product.

    Each step of a supernet has shapes that oneDNN has not met, and compiling a convolution for them takes
    longer than a small one runs; a matrix product needs no compiling.
    """
    pixels = x.shape[2] * x.shape[3]
    small = pixels <= POINTWISE_PIXELS if training else pixels == 1 and x.is_contiguous()
    return weight.shape[-1] == 1 and small and x.device.type == "cpu"


def _taps_in_reach(x: Tensor, weight: Tensor) -> Tensor:
    """The taps of a depth-wise kernel that can reach a small map; the others see nothing but padding."""
    unseen = max(weight.shape[-1] // 2 - max(x.shape[2:]) + 1, 0)
    return weight[..., unseen : weight.shape[-1] - unseen, unseen : weight.shape[-1] - unseen]


def _by_head(x: Tensor, heads: int) -> Tensor:
    """Tokens `(B, N, heads·d)` or maps `(B, heads·d, H, W)` as `(B·heads, N, d)`."""
    if x.dim() == 3:
        return x.unflatten(2, (heads, -1)).transpose(1, 2).flatten(0, 1)
    return x.flatten(2).unflatten(1, (heads, -1)).flatten(0, 1).transpose(1, 2)


def _linear(qkv: Tensor, heads: int, eps: float) -> Tensor:
    """`Σ v·ReLU(k)ᵀ` first, then times ReLU(q): as many steps as there are pixels."""
    q, k, v = qkv.flatten(2).unflatten(1, (heads, -1)).chunk(3, 2)
    context = F.pad(v, (0, 0, 0, 1), value=1.0) @ F.relu(k).transpose(2, 3)
    y = context @ F.relu(q)
    return (y[:, :, :-1] / _positive(y[:, :, -1:], eps)).reshape(qkv.shape[0], -1, *qkv.shape[2:])


def _pairs(qkv: Tensor, heads: int, eps: float) -> Tensor:
    """The same by the weights of all pairs of pixels."""
    q, k, v = qkv.flatten(2).unflatten(1, (heads, -1)).chunk(3, 2)
    weights = F.relu(k).transpose(2, 3) @ F.relu(q)
    y = v @ (weights / _positive(weights.sum(2, keepdim=True), eps))
    return y.reshape(qkv.shape[0], -1, *qkv.shape[2:])


def _positive(x: Tensor, eps: float) -> Tensor:
    """`x + eps` of what is not negative.

    ONNX's exporter takes additions of less than 1e-8 for none, and zero by zero is no number; of so little the larger
    of both is the same.
    """
    return x.clamp_min(eps) if eps < LOST else x + eps


def _padded_far(x: Tensor, kernel: int, stride: int) -> tuple[Tensor, int]:
    """A map padded as TensorFlow's SAME does for a kernel, and what the convolution still has to pad."""
    over = [max((-(-side // stride) - 1) * stride + kernel - side, 0) for side in x.shape[2:]]
    if over[0] == over[1] and over[0] % 2 == 0:
        return x, over[0] // 2
    near = [each // 2 for each in over]
    return F.pad(x, (near[1], over[1] - near[1], near[0], over[0] - near[0])), 0


def _windows(x: Tensor, windows: int, heads: int) -> Tensor:
    """Unrolled tokens `(B, m·windows, heads·d)` as `(B·windows·heads, m, d)`: the window is the inner index."""
    return x.unflatten(2, (heads, -1)).unflatten(1, (-1, windows)).permute(0, 2, 3, 1, 4).flatten(0, 2)


def shrunk_kernel(parts: Mapping[str, Any], name: str, kernel: int, kernels: Sequence[int]) -> Tensor:
    """The kernel `(C, 1, kernel, kernel)` that matrices make of the largest one; see `Operations.shrunk_conv`."""
    weight: Tensor = parts[f"{name}_weight"]
    for large, small in shrinkings(kernel, kernels):
        around = (large - small) // 2
        centre = weight[:, :, around : large - around, around : large - around].flatten(1)
        weight = F.linear(centre, parts[f"{name}_{large}to{small}"]).unflatten(1, (1, small, small))
    return weight


@lru_cache(maxsize=64)
def distance_index(h: int, w: int, step: int, device: torch.device) -> Tensor:
    """Flat positions in an `(h, w)` table for every `step`-th token and every token, by absolute offset; int64."""
    y, x = torch.arange(h, device=device), torch.arange(w, device=device)
    dy = (y[::step, None] - y[None, :]).abs()[:, None, :, None]
    dx = (x[::step, None] - x[None, :]).abs()[None, :, None, :]
    return (dy * w + dx).reshape(-1)


def _by_offset(table: Tensor, h: int, w: int) -> Tensor:
    """`(heads, 2h-1, 2w-1)` read for all pairs of tokens of an h×w map: `(heads, h·w, h·w)`."""
    return table.flatten(1)[:, offset_index(h, w, table.device)].unflatten(1, (h * w, h * w))


@lru_cache(maxsize=64)
def offset_index(h: int, w: int, device: torch.device) -> Tensor:
    """Flat positions in a `(2h-1, 2w-1)` table for every pair of tokens; int64 `((h·w)²,)`."""
    y, x = torch.arange(h, device=device), torch.arange(w, device=device)
    dy = (y[:, None] - y[None, :] + h - 1)[:, None, :, None]
    dx = (x[:, None] - x[None, :] + w - 1)[None, :, None, :]
    return (dy * (2 * w - 1) + dx).reshape(-1)


def offset_table(parts: Mapping[str, Any], name: str, h: int, w: int) -> Tensor:
    """What a network of offsets says for each: `(heads, 2h-1, 2w-1)`.

    Offsets are `sign(d)·log2(1 + 8·|d| / (side - 1)) / log2(8)`, the answer is `16·sigmoid` (SwinV2, arXiv 2111.09883).
    """
    hidden = parts[f"{name}_hidden_weight"]
    exact = {"dtype": torch.float64, "device": hidden.device}
    sides = [torch.arange(1 - side, side, **exact) * (8 / max(side - 1, 1)) for side in (h, w)]
    grid = torch.stack(torch.meshgrid(*sides, indexing="ij"), -1).flatten(0, 1)
    logs = grid.sign() * (1 + grid.abs()).log2() / 3
    y = F.relu(F.linear(logs.to(hidden.dtype), hidden, parts[f"{name}_hidden_bias"]))
    y = 16 * F.linear(y, parts[f"{name}_heads_weight"]).sigmoid()
    return y.T.unflatten(1, (2 * h - 1, 2 * w - 1))


def position_table(parts: Mapping[str, Any], name: str, h: int, w: int) -> Tensor:
    """What a network of places says for each of an h×w map: `(h·w, channels)`.

    A place is `(p - side // 2) / (side // 2)` down and across.
    """
    hidden = parts[f"{name}_hidden_weight"]
    halves = [max(side // 2, 1) for side in (h, w)]
    exact = {"dtype": torch.float64, "device": hidden.device}
    sides = [(torch.arange(side, **exact) - side // 2) / half for side, half in zip((h, w), halves)]
    grid = torch.stack(torch.meshgrid(*sides, indexing="ij"), -1).flatten(0, 1).to(hidden.dtype)
    y = F.relu(F.linear(grid, hidden, parts[f"{name}_hidden_bias"]))
    return F.linear(y, parts[f"{name}_channels_weight"])
