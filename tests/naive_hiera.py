"""Hiera written on maps with explicit windows, one at a time: what the unrolled blocks must equal."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

Parts = Mapping[str, Tensor]


def max_pool(x: Tensor, stride: int) -> Tensor:
    """The largest of each square of a map `(B, C, H, W)`."""
    return F.max_pool2d(x, stride) if stride != 1 else x


def attention(x: Tensor, p: Parts, heads: int, stride: int, unit: int) -> Tensor:
    """Attention with its residual on a map `(B, C, H, W)`; `unit` is a window's side before the pool, 0 for one."""
    normed = _norm(x, p)
    shortcut = _linear(normed, p, "widen") if "widen_weight" in p else x
    q, k, v = (_linear(normed, p, name) for name in ("q", "k", "v"))
    h, w = x.shape[2:]
    side = (unit, unit) if unit else (h, w)
    q = max_pool(q, stride)
    out = torch.zeros_like(q)
    for top in range(0, h, side[0]):
        for left in range(0, w, side[1]):
            keys = (..., slice(top, top + side[0]), slice(left, left + side[1]))
            asks = (
                ...,
                slice(top // stride, (top + side[0]) // stride),
                slice(left // stride, (left + side[1]) // stride),
            )
            out[asks] = _window(q[asks], k[keys], v[keys], heads)
    return max_pool(shortcut, stride) + _linear(out, p, "project")


def feed_forward(x: Tensor, p: Parts) -> Tensor:
    """The two linear layers with GELU between, with their residual, on a map."""
    return x + _linear(F.gelu(_linear(_norm(x, p), p, "expand")), p, "project")


def _window(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
    """Each head by itself on maps `(B, C, ·, ·)`."""
    found = []
    for head_q, head_k, head_v in zip(q.chunk(heads, 1), k.chunk(heads, 1), v.chunk(heads, 1)):
        asked, known, values = head_q.flatten(2), head_k.flatten(2), head_v.flatten(2)
        scores = torch.einsum("bdi,bdj->bij", asked, known) / asked.shape[1] ** 0.5
        found.append(torch.einsum("bij,bdj->bdi", scores.softmax(-1), values).view_as(head_q))
    return torch.cat(found, 1)


def _norm(x: Tensor, p: Parts) -> Tensor:
    channels = x.movedim(1, -1)
    return F.layer_norm(channels, channels.shape[-1:], p["norm_weight"], p["norm_bias"], 1e-6).movedim(-1, 1)


def _linear(x: Tensor, p: Parts, name: str) -> Tensor:
    return torch.einsum("bchw,oc->bohw", x, p[f"{name}_weight"]) + p[f"{name}_bias"][:, None, None]
