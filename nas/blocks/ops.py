"""The tensor operations that blocks are written in.

One instance carries what a forward pass needs besides weights and sizes: whether batch norms use the
batch's statistics and how fast the running ones follow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from nas.blocks.base import ACTIVATIONS, TOKEN_NORMS, Parts
from nas.blocks.folding import BN_EPS

LN_EPS = 1e-5
POINTWISE_PIXELS = 64

Pair = tuple[Tensor, Tensor]

_ACT: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "gelu": F.gelu,
    "silu": F.silu,
    "hard_swish": F.hardswish,
}


@dataclass(frozen=True)
class Ops:
    """Tensor operations for one forward pass.

    Attributes:
        training: batch norms normalise by the batch and update their running statistics.
        momentum: weight of the batch in the running statistics.
        together: batch norm over the batches of several processes, in training; see `nas.supernet.parallel`.
    """

    training: bool = False
    momentum: float = 0.1
    together: Callable[[Tensor, Pair, Pair, float, float], Tensor] | None = None

    def conv(
        self, x: Tensor, weight: Tensor, stride: int = 1, depthwise: bool = False, bias: Tensor | None = None
    ) -> Tensor:
        """Convolution with padding k//2."""
        if self.training and depthwise:
            weight = _taps_in_reach(x, weight)
            if x.shape[2:] == (1, 1):
                y = x * weight.flatten()[:, None, None]
                return y if bias is None else y + bias[:, None, None]
        if self.training and stride == 1 and not depthwise and _small_pointwise(x, weight):
            return F.linear(x.permute(0, 2, 3, 1), weight.flatten(1), bias).permute(0, 3, 1, 2)
        groups = x.shape[1] if depthwise else 1
        return F.conv2d(x, weight, bias, stride=stride, padding=weight.shape[-1] // 2, groups=groups)

    def batch_norm(self, x: Tensor, p: Parts, name: str) -> Tensor:
        """Batch norm over dimension 1; nothing where it was folded away (`Unit.folded`)."""
        if f"{name}_mean" not in p:
            return x
        mean, var = p[f"{name}_mean"], p[f"{name}_var"]
        weight, bias = p[f"{name}_weight"], p[f"{name}_bias"]
        if self.training and self.together is not None:
            return self.together(x, (mean, var), (weight, bias), self.momentum, BN_EPS)
        return F.batch_norm(x, mean, var, weight, bias, self.training, self.momentum, BN_EPS)

    def conv_norm(self, x: Tensor, p: Parts, name: str, stride: int = 1, depthwise: bool = False) -> Tensor:
        """Convolution `<name>` and its batch norm `<name>_bn`."""
        y = self.conv(x, p[f"{name}_weight"], stride, depthwise, p[f"{name}_bias"])
        return self.batch_norm(y, p, f"{name}_bn")

    def scale(self, x: Tensor, p: Parts, name: str) -> Tensor:
        """Maps `(B, C, H, W)` or tokens `(B, N, C)` times a layer scale `(C,)`; nothing where it was folded away."""
        if name not in p:
            return x
        return x * (p[name][:, None, None] if x.dim() == 4 else p[name])

    def batch_norm_tokens(self, x: Tensor, p: Parts, name: str) -> Tensor:
        """Batch norm of tokens `(B, N, C)` over all tokens."""
        return self.batch_norm(x.flatten(0, 1), p, name).view_as(x)

    def act(self, x: Tensor, index: int) -> Tensor:
        """Activation by its position in `ACTIVATIONS`."""
        name = ACTIVATIONS[index]
        return x if name == "none" else _ACT[name](x)

    def squeeze_excite(self, x: Tensor, p: Parts) -> Tensor:
        """Channel gates: pool, 1×1 to a quarter, ReLU, 1×1 back, hard sigmoid."""
        gate = F.adaptive_avg_pool2d(x, 1).flatten(1)
        gate = F.linear(gate, p["squeeze_weight"].flatten(1), p["squeeze_bias"])
        gate = F.relu(gate)
        gate = F.linear(gate, p["excite_weight"].flatten(1), p["excite_bias"])
        gate = F.hardsigmoid(gate)
        return x * gate[:, :, None, None]

    def halve(self, x: Tensor) -> Tensor:
        """2×2 average pooling to ⌈side / 2⌉; an odd side is padded by one, and the zeros count."""
        odd = (x.shape[2] % 2, x.shape[3] % 2)
        return F.avg_pool2d(x, 2, padding=odd)

    def token_norm(self, x: Tensor, p: Parts, name: str, index: int) -> Tensor:
        """Layer norm of tokens `(B, N, C)`: per token, or (`joint_norm`) over tokens and channels."""
        weight, bias = p[f"{name}_weight"], p[f"{name}_bias"]
        if TOKEN_NORMS[index] == "layer_norm":
            return F.layer_norm(x, x.shape[-1:], weight, bias, LN_EPS)
        return F.layer_norm(x, x.shape[1:], None, None, LN_EPS) * weight + bias

    def linear(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """Linear layer over the last dimension."""
        return F.linear(x, weight, bias)

    def heads_linear(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """`(B, N, C)` by `(heads, d, C)` to `(B, N, heads·d)`; `bias` is `(heads, d)`."""
        return F.linear(x, weight.flatten(0, 1), None if bias is None else bias.flatten())

    def conv_over_tokens(self, x: Tensor, weight: Tensor, h: int, w: int) -> Tensor:
        """Depth-wise convolution of tokens `(B, h·w, C)` laid out as a map; `weight` is `(heads, d, k, k)`."""
        image = x.unflatten(1, (h, w)).permute(0, 3, 1, 2)
        image = self.conv(image, weight.flatten(0, 1).unsqueeze(1), depthwise=True)
        return image.permute(0, 2, 3, 1).flatten(1, 2)

    def scores(self, q: Tensor, k: Tensor, table: Tensor, h: int, w: int) -> Tensor:
        """`q kᵀ / √d + B` with B read from `table`, `(heads, 2h-1, 2w-1)`, by offset.

        q, k are `(B, N, heads·d)`; returns `(B·heads, N, N)`.
        """
        return self.biased_scores(q, k, offset_bias(table, h, w))

    def biased_scores(self, q: Tensor, k: Tensor, bias: Tensor) -> Tensor:
        """`q kᵀ / √d + bias` of q, k `(B, N, heads·d)` and bias `(heads, N, N)`; returns `(B·heads, N, N)`."""
        heads = bias.shape[0]
        batch, tokens, channels = q.shape
        q, k = _split(q, heads), _split(k, heads)
        bias = bias.expand(batch, heads, tokens, tokens).flatten(0, 1)
        return torch.baddbmm(bias, q, k.transpose(1, 2), alpha=(channels // heads) ** -0.5)

    def map_scores(self, q: Tensor, k: Tensor, bias: Tensor) -> Tensor:
        """The same of maps `(B, heads·d, ·, ·)` and bias `(heads, Nq, Nk)`; returns `(B·heads, Nq, Nk)`."""
        heads = bias.shape[0]
        batch, channels = q.shape[:2]
        q, k = _heads_of_map(q, heads), _heads_of_map(k, heads)
        bias = bias.expand(batch, *bias.shape).flatten(0, 1)
        return torch.baddbmm(bias, q.transpose(1, 2), k, alpha=(channels // heads) ** -0.5)

    def distances(self, table: Tensor, step: int = 1) -> Tensor:
        """`B[head, i, j] = table[head, |yi - yj|, |xi - xj|]` for every `step`-th token i and every token j of a map.

        Args:
            table: `(heads, h, w)`, the map's sides.

        Returns:
            `(heads, ⌈h / step⌉ · ⌈w / step⌉, h·w)`.
        """
        h, w = table.shape[1:]
        return table.flatten(1)[:, distance_index(h, w, step, table.device)].unflatten(1, (-1, h * w))

    def weigh(self, v: Tensor, weights: Tensor) -> Tensor:
        """Values `(B, N, heads·e)` weighed by `(B·heads, N, N)`, heads still apart: `(B·heads, N, e)`."""
        return torch.bmm(weights, _split(v, weights.shape[0] // v.shape[0]))

    def weigh_map(self, v: Tensor, weights: Tensor, h: int, w: int) -> Tensor:
        """A map of values `(B, heads·e, ·, ·)` weighed by `(B·heads, h·w, Nk)`: `(B, heads·e, h, w)`."""
        batch = v.shape[0]
        y = torch.bmm(_heads_of_map(v, weights.shape[0] // batch), weights.transpose(1, 2))
        return y.reshape(batch, -1, h, w)

    def talk(self, weights: Tensor, p: Parts, name: str, batch: int) -> Tensor:
        """A 1×1 convolution over the heads of `(B·heads, Nq, Nk)` (talking heads, arXiv 2003.02436)."""
        mixed = self.conv(weights.unflatten(0, (batch, -1)), p[f"{name}_weight"], bias=p[f"{name}_bias"])
        return mixed.flatten(0, 1)

    def enlarge(self, x: Tensor, h: int, w: int) -> Tensor:
        """A map enlarged to `h`×`w`, bilinearly."""
        return F.interpolate(x, size=(h, w), mode="bilinear", align_corners=False)

    def neighbours(self, x: Tensor) -> Tensor:
        """Mean over the 3×3 neighbours that lie on the map."""
        return F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)

    def unroll(self, x: Tensor, span: int) -> Tensor:
        """A map `(B, C, H, W)` as unrolled tokens `(B, H·W, C)`; see `nas.blocks.unroll`."""
        bits = span.bit_length() - 1
        sides = [side for size in x.shape[2:] for side in (size // span, *[2] * bits)]
        pairs = [axis for bit in range(bits) for axis in (2 + bits - bit, 3 + 2 * bits - bit)]
        order = (0, *pairs, 2, 3 + bits, 1)
        return x.reshape(*x.shape[:2], *sides).permute(order).reshape(x.shape[0], -1, x.shape[1])

    def reroll(self, x: Tensor, h: int, w: int, span: int) -> Tensor:
        """Unrolled tokens `(B, h·w, C)` as a map `(B, C, h, w)`."""
        bits = span.bit_length() - 1
        y_bits, x_bits = ([1 + 2 * bit + axis for bit in reversed(range(bits))] for axis in (0, 1))
        last = 1 + 2 * bits
        order = (0, last + 2, last, *y_bits, last + 1, *x_bits)
        split = x.reshape(x.shape[0], *[2] * (2 * bits), h // span, w // span, x.shape[2])
        return split.permute(order).reshape(x.shape[0], x.shape[2], h, w)

    def queries(self, x: Tensor, p: Parts, heads: int) -> Tensor:
        """Projection `q` of tokens `(B, N, C)` over `√d`, d the channels of a head."""
        q = F.linear(x, p["q_weight"], p["q_bias"])
        return q.mul_((q.shape[2] // heads) ** -0.5)

    def pool_tokens(self, x: Tensor, stride: int) -> Tensor:
        """Largest of each `stride`×`stride` of unrolled tokens: `(B, N, C)` to `(B, N / stride², C)`."""
        return x.unflatten(1, (stride * stride, -1)).amax(1)

    def window_scores(self, q: Tensor, k: Tensor, windows: int, heads: int) -> Tensor:
        """`q kᵀ` within windows of unrolled tokens.

        q, k are `(B, Nq, heads·d)` and `(B, Nk, heads·d)`; returns `(B·windows·heads, Nq / windows, Nk / windows)`.
        """
        return torch.bmm(_windows(q, windows, heads), _windows(k, windows, heads).transpose(1, 2))

    def window_weigh(self, v: Tensor, weights: Tensor, windows: int, heads: int) -> Tensor:
        """Values `(B, Nk, heads·d)` weighed by `(B·windows·heads, m, Nk / windows)`: `(B·windows, heads, m, d)`."""
        return torch.bmm(weights, _windows(v, windows, heads)).unflatten(0, (-1, heads))

    def join_windows(self, y: Tensor, batch: int, windows: int) -> Tensor:
        """`(B·windows, heads, m, d)` as unrolled tokens `(B, m·windows, heads·d)`."""
        y = y.unflatten(0, (batch, windows)).permute(0, 3, 1, 2, 4)
        return y.reshape(batch, y.shape[1] * windows, -1)

    def join_heads(self, y: Tensor, batch: int) -> Tensor:
        """`(B·heads, N, e)` as `(B, N, heads·e)`."""
        return y.unflatten(0, (batch, -1)).transpose(1, 2).flatten(2)


def _small_pointwise(x: Tensor, weight: Tensor) -> bool:
    """Whether a convolution is faster as a matrix product.

    Each step of a supernet has shapes that oneDNN has not met, and compiling a convolution for them takes
    longer than a small one runs; a matrix product needs no compiling.
    """
    return weight.shape[-1] == 1 and x.shape[2] * x.shape[3] <= POINTWISE_PIXELS and x.device.type == "cpu"


def _taps_in_reach(x: Tensor, weight: Tensor) -> Tensor:
    """The taps of a depth-wise kernel that can reach a small map; the others see nothing but padding."""
    unseen = max(weight.shape[-1] // 2 - max(x.shape[2:]) + 1, 0)
    return weight[..., unseen : weight.shape[-1] - unseen, unseen : weight.shape[-1] - unseen]


def _split(x: Tensor, heads: int) -> Tensor:
    return x.unflatten(2, (heads, -1)).transpose(1, 2).flatten(0, 1)


def _windows(x: Tensor, windows: int, heads: int) -> Tensor:
    """Unrolled tokens `(B, m·windows, heads·d)` as `(B·windows·heads, m, d)`: the window is the inner index."""
    return x.unflatten(2, (heads, -1)).unflatten(1, (-1, windows)).permute(0, 2, 3, 1, 4).flatten(0, 2)


def _heads_of_map(x: Tensor, heads: int) -> Tensor:
    """`(B, heads·d, H, W)` as `(B·heads, d, H·W)`."""
    return x.flatten(2).unflatten(1, (heads, -1)).flatten(0, 1)


@lru_cache(maxsize=64)
def distance_index(h: int, w: int, step: int, device: torch.device) -> Tensor:
    """Flat positions in an `(h, w)` table for every `step`-th token and every token, by absolute offset; int64."""
    y, x = torch.arange(h, device=device), torch.arange(w, device=device)
    dy = (y[::step, None] - y[None, :]).abs()[:, None, :, None]
    dx = (x[::step, None] - x[None, :]).abs()[None, :, None, :]
    return (dy * w + dx).reshape(-1)


def offset_bias(table: Tensor, h: int, w: int) -> Tensor:
    """`B[head, i, j] = table[head, yi - yj + h - 1, xi - xj + w - 1]` for tokens i, j of an h×w map."""
    return table.flatten(1)[:, offset_index(h, w, table.device)].unflatten(1, (h * w, h * w))


@lru_cache(maxsize=64)
def offset_index(h: int, w: int, device: torch.device) -> Tensor:
    """Flat positions in a `(2h-1, 2w-1)` table for every pair of tokens; int64 `((h·w)²,)`."""
    y, x = torch.arange(h, device=device), torch.arange(w, device=device)
    dy = (y[:, None] - y[None, :] + h - 1)[:, None, :, None]
    dx = (x[:, None] - x[None, :] + w - 1)[None, :, None, :]
    return (dy * (2 * w - 1) + dx).reshape(-1)
