"""EfficientFormerV2's two blocks on maps: the unified feed-forward network and attention with local values.

Source: EfficientFormerV2 (arXiv 2212.08059), published code `models/efficientformer_v2.py`. Every branch is
residual and ends in a layer scale. Attention: V also passes through a 3×3 depth-wise convolution and is added to
the result; 1×1 convolutions over the heads before and after the softmax; a learned bias per head and absolute
offset; at high resolution all of it runs on a grid of every second pixel ("stride attention").
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from nas.arith import Num, ceil_div
from nas.blocks.base import ACTIVATIONS, Field, Interface, Kernel, Parts, Sizes, Unit, Weight, when
from nas.blocks.norms import conv_norm, layer_scale

if TYPE_CHECKING:
    from torch import Tensor

    from nas.blocks.ops import Ops

KERNEL = 3
TAPS = KERNEL * KERNEL
V_RATIO = 4


class ConvFFN(Unit):
    """1×1 convolution, 3×3 depth-wise convolution, 1×1 convolution."""

    kind = "conv_ffn"
    fields = {
        "width": Field(about="channels"),
        "expansion": Field(default=4, about="hidden over input channels"),
        "act": Field(default="gelu", words=ACTIVATIONS),
    }
    keys = ("h", "w", "channels", "hidden", "act")
    folds = {"expand": ("expand_bn",), "mix": ("mix_bn",), "project": ("project_bn", "project_scale")}

    @classmethod
    def plan(cls, inp: Interface, fields: Mapping[str, Num]) -> tuple[dict[str, Num], Interface]:
        hidden = fields["expansion"] * fields["width"]
        sizes = {"h": inp.h, "w": inp.w, "channels": inp.channels, "hidden": hidden, "act": fields["act"]}
        return sizes, inp

    @classmethod
    def weights(cls, s: Sizes) -> dict[str, Weight]:
        c, hidden = s["channels"], s["hidden"]
        return {
            **conv_norm("expand", hidden, c),
            **conv_norm("mix", hidden, 1, KERNEL),
            **conv_norm("project", c, hidden),
            **layer_scale("project_scale", c),
        }

    @classmethod
    def kernels(cls, s: Sizes) -> list[Kernel]:
        pixels = s["h"] * s["w"]
        wide, out = pixels * s["hidden"], pixels * s["channels"]
        return [
            Kernel("conv", wide, wide * s["channels"]),
            Kernel("norm", wide, reads=(0,)),
            Kernel("act", wide, reads=(1,)),
            Kernel("depthwise", wide, wide * TAPS, reads=(2,)),
            Kernel("norm", wide, reads=(3,)),
            Kernel("act", wide, reads=(4,)),
            Kernel("conv", out, wide * s["channels"], reads=(5,)),
            Kernel("norm", out, reads=(6,)),
            Kernel("mul", out, reads=(7,)),
            Kernel("add", out, reads=(8,)),
        ]

    @classmethod
    def forward(cls, x: Tensor, p: Parts, s: Mapping[str, int], ops: Ops) -> Tensor:
        return x + cls._branch(x, p, s, ops)

    @classmethod
    def _branch(cls, x: Tensor, p: Parts, s: Mapping[str, int], ops: Ops) -> Tensor:
        y = ops.conv_norm(x, p, "expand")
        y = ops.act(y, s["act"])
        y = ops.conv(y, p["mix_weight"], depthwise=True, bias=p["mix_bias"])
        y = ops.batch_norm(y, p, "mix_bn")
        y = ops.act(y, s["act"])
        y = ops.conv(y, p["project_weight"], bias=p["project_bias"])
        y = ops.batch_norm(y, p, "project_bn")
        return ops.scale(y, p, "project_scale")


class Attention4D(Unit):
    """Attention over all pixels, or over a grid of them."""

    kind = "attention4d"
    fields = {
        "width": Field(about="channels"),
        "heads": Field(default=8, about="attention heads"),
        "grid_stride": Field(default=1, high=2, about="pixels from one attending pixel to the next: 1 or 2"),
        "act": Field(default="gelu", words=ACTIVATIONS),
    }
    keys = ("h", "w", "channels", "heads", "qk_dim", "v_dim", "grid_stride", "act")
    folds = {
        "grid": ("grid_bn",),
        "q": ("q_bn",),
        "k": ("k_bn",),
        "v": ("v_bn",),
        "local": ("local_bn",),
        "project": ("project_bn", "project_scale"),
    }
    QK_DIM = 32

    @classmethod
    def plan(cls, inp: Interface, fields: Mapping[str, Num]) -> tuple[dict[str, Num], Interface]:
        sizes = {
            "h": inp.h,
            "w": inp.w,
            "channels": inp.channels,
            "heads": fields["heads"],
            "qk_dim": cls.QK_DIM,
            "v_dim": V_RATIO * cls.QK_DIM,
            "grid_stride": fields["grid_stride"],
            "act": fields["act"],
        }
        return sizes, inp

    @classmethod
    def weights(cls, s: Sizes) -> dict[str, Weight]:
        c, heads = s["channels"], s["heads"]
        qk, v = heads * s["qk_dim"], heads * s["v_dim"]
        gh, gw = _grid(s)
        return {
            **conv_norm("grid", when(s["grid_stride"] != 1, c), 1, KERNEL),
            **conv_norm("v", v, c),
            **conv_norm("local", v, 1, KERNEL),
            **conv_norm("q", qk, c),
            **conv_norm("k", qk, c),
            "distance_bias": Weight((heads, gh, gw), "zeros"),
            "talk_before_weight": Weight((heads, heads, 1, 1), "conv", decay=True),
            "talk_before_bias": Weight((heads,), "zeros"),
            "talk_after_weight": Weight((heads, heads, 1, 1), "conv", decay=True),
            "talk_after_bias": Weight((heads,), "zeros"),
            **conv_norm("project", c, v),
            **layer_scale("project_scale", c),
        }

    @classmethod
    def kernels(cls, s: Sizes) -> list[Kernel]:
        pixels, c, heads = s["h"] * s["w"], s["channels"], s["heads"]
        gh, gw = _grid(s)
        n, qk, v, out = gh * gw, heads * s["qk_dim"], heads * s["v_dim"], pixels * c
        strided, plain, scores = s["grid_stride"] != 1, s["grid_stride"] == 1, heads * n * n
        grid = when(strided, n * c)
        return [
            Kernel("depthwise", grid, grid * TAPS),
            Kernel("norm", grid, reads=(0,)),
            Kernel("conv", n * v, n * v * c, reads=(1,)),
            Kernel("norm", n * v, reads=(2,)),
            Kernel("depthwise", n * v, n * v * TAPS, reads=(3,)),
            Kernel("norm", n * v, reads=(4,)),
            Kernel("conv", n * qk, n * qk * c, reads=(1,)),
            Kernel("norm", n * qk, reads=(6,)),
            Kernel("conv", n * qk, n * qk * c, reads=(1,)),
            Kernel("norm", n * qk, reads=(1, 8)),
            Kernel("gather", scores),
            Kernel("matmul", scores, n * n * qk, reads=(7, 9, 10)),
            Kernel("conv", scores, scores * heads, reads=(11,)),
            Kernel("softmax", scores, reads=(12,)),
            Kernel("conv", scores, scores * heads, reads=(13,)),
            Kernel("matmul", n * v, n * n * v, reads=(3, 14)),
            Kernel("add", n * v, reads=(5, 15)),
            Kernel("resize", when(strided, pixels * v), reads=(16,)),
            Kernel("act", pixels * v, reads=((16, plain), 17)),
            Kernel("conv", out, out * v, reads=(18,)),
            Kernel("norm", out, reads=(19,)),
            Kernel("mul", out, reads=(20,)),
            Kernel("add", out, reads=(21,)),
        ]

    @classmethod
    def forward(cls, x: Tensor, p: Parts, s: Mapping[str, int], ops: Ops) -> Tensor:
        return x + cls._branch(x, p, s, ops)

    @classmethod
    def _branch(cls, x: Tensor, p: Parts, s: Mapping[str, int], ops: Ops) -> Tensor:
        y = cls._attention(x, p, s, ops)
        if s["grid_stride"] != 1:
            y = ops.enlarge(y, s["h"], s["w"])
        y = ops.act(y, s["act"])
        y = ops.conv(y, p["project_weight"], bias=p["project_bias"])
        y = ops.batch_norm(y, p, "project_bn")
        return ops.scale(y, p, "project_scale")

    @classmethod
    def _attention(cls, x: Tensor, p: Parts, s: Mapping[str, int], ops: Ops) -> Tensor:
        if s["grid_stride"] != 1:
            x = ops.conv_norm(x, p, "grid", s["grid_stride"], depthwise=True)
        batch, (h, w) = x.shape[0], x.shape[2:]
        v = ops.conv_norm(x, p, "v")
        local = ops.conv_norm(v, p, "local", depthwise=True)
        q, k = ops.conv_norm(x, p, "q"), ops.conv_norm(x, p, "k")
        del x
        weights = ops.map_scores(q, k, ops.distances(p["distance_bias"]))
        del q, k
        weights = ops.talk(weights, p, "talk_before", batch)
        weights = weights.softmax(-1)
        weights = ops.talk(weights, p, "talk_after", batch)
        y = ops.weigh_map(v, weights, h, w)
        del v, weights
        return y + local


def _grid(s: Sizes) -> tuple[Num, Num]:
    return ceil_div(s["h"], s["grid_stride"]), ceil_div(s["w"], s["grid_stride"])
