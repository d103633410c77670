"""Multi-scale linear attention on maps.

Source: EfficientViT (arXiv 2205.14756), section 3.1 and published code `ops.py`. Queries, keys and values of further
scales are those of a k×k neighbourhood: a depth-wise convolution, then a 1×1 convolution within each head's queries,
keys and values. Every scale has as many heads again, of ReLU attention in float32; a map of no more pixels than a head
has channels is compared in pairs, as published. Differences from the published code, on purpose:

* Weights are kept by scale, head, role and channel, so that a query's row stays one whatever the heads' width is. Of
  two scales the larger kernel comes first: a network with one scale shares its place in the projection.
* The norm of the residual branch starts at zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nas.arith import Num, where
from nas.blocks.base import SAME_WIDTH, Field, Unit, block_of, eps_of, epsilon, refuse, width_of
from nas.blocks.bottleneck import InvertedBottleneck
from nas.blocks.layouts import Interface
from nas.blocks.operations import Operations
from nas.blocks.sizes import Sizes

SCALES = ("none", "k3", "k5", "k5k3")
ROLES = 3
"""Query, key and value."""


class LiteMLA(Unit):
    """Linear attention over all pixels at one to three scales, with its residual."""

    kind = "lite_mla"
    fields = {
        "width": SAME_WIDTH,
        "dim": Field(default=16, about="channels of a head; heads are as many as fit into the width"),
        "scales": Field(default="k5", words=SCALES, about="kernels of the scales beside a pixel's own"),
        "eps": epsilon(5),
        "attention_eps": Field(default=15, high=15, about="n: 1e-n is added to what weights are divided by"),
    }
    keys = ("h", "w", "channels", "heads", "dim", "scale1", "scale2", "eps", "attention_eps")

    @classmethod
    def sizes(cls, inp: Interface, f: Sizes) -> Mapping[str, Num]:
        heads, both = width_of(inp, f) // f.dim, f.scales == SCALES.index("k5k3")
        refuse(heads < 1, f"a head of {f.dim} channels is wider than the block")
        first = where(both | (f.scales == SCALES.index("k5")), 5, where(f.scales == SCALES.index("k3"), 3, 0))
        return {"heads": heads, "scale1": first, "scale2": where(both, 3, 0)}

    @classmethod
    def forward(cls, x: Any, s: Sizes, ops: Operations) -> Any:
        shape = (s.heads, ROLES, s.dim)
        qkv = ops.conv("qkv", x, shape)
        scales = [qkv]
        for number, kernel in enumerate((s.scale1, s.scale2), start=1):
            if kernel != 0:
                near = ops.conv(f"near{number}", qkv, shape, kernel, depthwise=True)
                scales.append(ops.conv(f"mix{number}", near, shape, groups=ROLES * s.heads))
        every = ops.concat(scales) if len(scales) > 1 else qkv
        few, eps = s.h * s.w <= s.dim, float(10.0 ** -int(s.attention_eps))
        y = ops.relu_attention(every, len(scales) * s.heads, quadratic=few, eps=eps)
        parts = (len(scales), s.heads, s.dim)
        return x + ops.conv_norm("project", y, s.channels, inputs=parts, gamma="zeros", eps=eps_of(s))


PARTS = (LiteMLA, block_of("mla_bottleneck", LiteMLA, InvertedBottleneck))
