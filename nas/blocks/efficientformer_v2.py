"""EfficientFormerV2's blocks on maps: a unified feed-forward network, attention with local values, and down-sampling.

Source: EfficientFormerV2 (arXiv 2212.08059), published code `models/efficientformer_v2.py`. Every branch is
residual and ends in a layer scale. Attention: V also passes through a 3×3 depth-wise convolution and is added to
the result; 1×1 convolutions over the heads before and after the softmax; a learned bias per head and absolute
offset; at high resolution all of it runs on a grid of every second pixel ("stride attention").

Down-sampling (§3.4, `Attention4DDownsample` with `LGQuery`): a strided convolution plus attention from a coarse to a
fine grid. Queries stand on every second pixel and are a depth-wise convolution plus the pixel itself; keys and values
are all pixels. No layer scale and no shortcut.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nas.arith import Num, ceil_div
from nas.blocks.base import SAME_WIDTH, Field, Unit, act, block_of, width, width_of
from nas.blocks.layouts import Interface
from nas.blocks.operations import Operations
from nas.blocks.sizes import Sizes

KERNEL = 3
V_RATIO = 4


class ConvFFN(Unit):
    """1×1 convolution, 3×3 depth-wise convolution, 1×1 convolution."""

    kind = "conv_ffn"
    fields = {
        "width": SAME_WIDTH,
        "expansion": Field(default=4, about="hidden over input channels"),
        "act": act("gelu"),
    }
    keys = ("h", "w", "channels", "hidden", "act")

    @classmethod
    def sizes(cls, inp: Interface, f: Sizes) -> Mapping[str, Num]:
        return {"hidden": f.expansion * width_of(inp, f)}

    @classmethod
    def forward(cls, x: Any, s: Sizes, ops: Operations) -> Any:
        y = ops.act(ops.conv_norm("expand", x, s.hidden, bias=True), s.act)
        y = ops.act(ops.conv_norm("mix", y, s.hidden, KERNEL, depthwise=True, bias=True), s.act)
        return x + ops.conv_norm("project", y, s.channels, bias=True, scale=True)


class Attention4D(Unit):
    """Attention over all pixels, or over a grid of them."""

    kind = "attention4d"
    fields = {
        "width": SAME_WIDTH,
        "heads": Field(default=8, about="attention heads"),
        "grid_stride": Field(default=1, high=2, about="pixels from one attending pixel to the next: 1 or 2"),
        "act": act("gelu"),
    }
    keys = ("h", "w", "channels", "heads", "qk_dim", "v_dim", "grid_stride", "act")
    QK_DIM = 32

    @classmethod
    def sizes(cls, inp: Interface, f: Sizes) -> Mapping[str, Num]:
        return {"qk_dim": cls.QK_DIM, "v_dim": V_RATIO * cls.QK_DIM}

    @classmethod
    def forward(cls, x: Any, s: Sizes, ops: Operations) -> Any:
        qk, grid = s.heads * s.qk_dim, x
        h, w = ceil_div(s.h, s.grid_stride), ceil_div(s.w, s.grid_stride)
        if s.grid_stride != 1:
            grid = ops.conv_norm("grid", x, s.channels, KERNEL, s.grid_stride, depthwise=True, bias=True)
        v = ops.conv_norm("v", grid, s.heads * s.v_dim, bias=True)
        local = ops.conv_norm("local", v, s.heads * s.v_dim, KERNEL, depthwise=True, bias=True)
        q, k = ops.conv_norm("q", grid, qk, bias=True), ops.conv_norm("k", grid, qk, bias=True)
        bias = ops.distance_bias("distance_bias", s.heads, h, w)
        weights = ops.talk("talk_before", ops.scores(q, k, s.heads, bias))
        weights = ops.talk("talk_after", ops.softmax(weights))
        y = ops.weigh_map(v, weights, h, w) + local
        y = ops.resize(y, s.h, s.w) if s.grid_stride != 1 else y
        return x + ops.conv_norm("project", ops.act(y, s.act), s.channels, bias=True, scale=True)


class AttentionDownsample(Unit):
    """Half the sides and another width."""

    kind = "attention_downsample"
    fields = {
        "width": width("output channels"),
        "heads": Field(default=8, about="attention heads"),
        "act": act("gelu"),
    }
    keys = ("h", "w", "cin", "cout", "stride", "heads", "qk_dim", "v_dim", "act")
    strides = (2,)
    QK_DIM = 16

    @classmethod
    def sizes(cls, inp: Interface, f: Sizes) -> Mapping[str, Num]:
        return {"qk_dim": cls.QK_DIM, "v_dim": V_RATIO * cls.QK_DIM}

    @classmethod
    def forward(cls, x: Any, s: Sizes, ops: Operations) -> Any:
        qk, values = s.heads * s.qk_dim, s.heads * s.v_dim
        v = ops.conv_norm("v", x, values, bias=True)
        local = ops.conv_norm("local", v, values, KERNEL, s.stride, depthwise=True, bias=True)
        k = ops.conv_norm("k", x, qk, bias=True)
        near = ops.conv("near", x, s.cin, KERNEL, s.stride, depthwise=True, bias=True)
        q = ops.conv_norm("q", near + ops.every(x, s.stride), qk, bias=True)
        bias = ops.distance_bias("distance_bias", s.heads, s.h, s.w, s.stride)
        weights = ops.softmax(ops.scores(q, k, s.heads, bias))
        y = ops.weigh_map(v, weights, ceil_div(s.h, s.stride), ceil_div(s.w, s.stride)) + local
        y = ops.conv_norm("project", ops.act(y, s.act), s.cout, bias=True)
        return y + ops.conv_norm("embed", x, s.cout, KERNEL, s.stride, bias=True)


PARTS = (ConvFFN, Attention4D, AttentionDownsample, block_of("attention_ffn", Attention4D, ConvFFN))
