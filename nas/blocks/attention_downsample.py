"""EfficientFormerV2's attention down-sampling: a strided convolution plus attention from a coarse to a fine grid.

Source: EfficientFormerV2 (arXiv 2212.08059, §3.4), published code `Attention4DDownsample` with `LGQuery`: queries
stand on every second pixel and are a depth-wise convolution plus the pixel itself; keys and values are all pixels.
V also passes through a strided depth-wise convolution and is added. No layer scale and no shortcut.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from nas.arith import Num, ceil_div
from nas.blocks.base import ACTIVATIONS, Field, Interface, Kernel, Parts, Sizes, Unit, Weight
from nas.blocks.efficientformer_v2 import KERNEL, TAPS, V_RATIO
from nas.blocks.norms import conv_norm

if TYPE_CHECKING:
    from torch import Tensor

    from nas.blocks.ops import Ops


class AttentionDownsample(Unit):
    """Half the sides and another width."""

    kind = "attention_downsample"
    fields = {
        "width": Field(about="output channels"),
        "heads": Field(default=8, about="attention heads"),
        "act": Field(default="gelu", words=ACTIVATIONS),
    }
    keys = ("h", "w", "cin", "cout", "stride", "heads", "qk_dim", "v_dim", "act")
    strides = (2,)
    folds = {name: (f"{name}_bn",) for name in ("v", "local", "k", "q", "project", "embed")}
    QK_DIM = 16

    @classmethod
    def plan(cls, inp: Interface, fields: Mapping[str, Num]) -> tuple[dict[str, Num], Interface]:
        stride = fields["stride"]
        sizes = {
            "h": inp.h,
            "w": inp.w,
            "cin": inp.channels,
            "cout": fields["width"],
            "stride": stride,
            "heads": fields["heads"],
            "qk_dim": cls.QK_DIM,
            "v_dim": V_RATIO * cls.QK_DIM,
            "act": fields["act"],
        }
        return sizes, Interface("map", fields["width"], ceil_div(inp.h, stride), ceil_div(inp.w, stride))

    @classmethod
    def weights(cls, s: Sizes) -> dict[str, Weight]:
        cin, cout, heads = s["cin"], s["cout"], s["heads"]
        qk, v = heads * s["qk_dim"], heads * s["v_dim"]
        return {
            **conv_norm("v", v, cin),
            **conv_norm("local", v, 1, KERNEL),
            **conv_norm("k", qk, cin),
            "near_weight": Weight((cin, 1, KERNEL, KERNEL), "conv", crop=True, decay=True),
            "near_bias": Weight((cin,), "zeros"),
            **conv_norm("q", qk, cin),
            "distance_bias": Weight((heads, s["h"], s["w"]), "zeros"),
            **conv_norm("project", cout, v),
            **conv_norm("embed", cout, cin, KERNEL),
        }

    @classmethod
    def kernels(cls, s: Sizes) -> list[Kernel]:
        cin, heads = s["cin"], s["heads"]
        n, m = s["h"] * s["w"], ceil_div(s["h"], s["stride"]) * ceil_div(s["w"], s["stride"])
        qk, v, out, scores = heads * s["qk_dim"], heads * s["v_dim"], m * s["cout"], heads * m * n
        return [
            Kernel("conv", n * v, n * v * cin),
            Kernel("norm", n * v, reads=(0,)),
            Kernel("depthwise", m * v, m * v * TAPS, reads=(1,)),
            Kernel("norm", m * v, reads=(2,)),
            Kernel("conv", n * qk, n * qk * cin),
            Kernel("norm", n * qk, reads=(4,)),
            Kernel("depthwise", m * cin, m * cin * TAPS),
            Kernel("add", m * cin, reads=(6,)),
            Kernel("conv", m * qk, m * qk * cin, reads=(7,)),
            Kernel("norm", m * qk, reads=(8,)),
            Kernel("gather", scores),
            Kernel("matmul", scores, m * n * qk, reads=(5, 9, 10)),
            Kernel("softmax", scores, reads=(11,)),
            Kernel("matmul", m * v, m * n * v, reads=(1, 12)),
            Kernel("add", m * v, reads=(3, 13)),
            Kernel("act", m * v, reads=(14,)),
            Kernel("conv", out, out * v, reads=(15,)),
            Kernel("norm", out, reads=(16,)),
            Kernel("conv", out, out * cin * TAPS),
            Kernel("norm", out, reads=(18,)),
            Kernel("add", out, reads=(17, 19)),
        ]

    @classmethod
    def forward(cls, x: Tensor, p: Parts, s: Mapping[str, int], ops: Ops) -> Tensor:
        y = cls._attention(x, p, s, ops)
        y = ops.act(y, s["act"])
        y = ops.conv(y, p["project_weight"], bias=p["project_bias"])
        y = ops.batch_norm(y, p, "project_bn")
        return y + ops.conv_norm(x, p, "embed", stride=s["stride"])

    @classmethod
    def _attention(cls, x: Tensor, p: Parts, s: Mapping[str, int], ops: Ops) -> Tensor:
        v = ops.conv_norm(x, p, "v")
        local = ops.conv_norm(v, p, "local", stride=s["stride"], depthwise=True)
        k = ops.conv_norm(x, p, "k")
        q = cls._queries(x, p, s["stride"], ops)
        weights = ops.map_scores(q, k, ops.distances(p["distance_bias"], s["stride"]))
        del q, k
        weights = weights.softmax(-1)
        y = ops.weigh_map(v, weights, *local.shape[2:])
        del v, weights
        return y + local

    @classmethod
    def _queries(cls, x: Tensor, p: Parts, stride: int, ops: Ops) -> Tensor:
        q = ops.conv(x, p["near_weight"], stride, depthwise=True, bias=p["near_bias"])
        q = q + x[:, :, ::stride, ::stride]
        q = ops.conv(q, p["q_weight"], bias=p["q_bias"])
        return ops.batch_norm(q, p, "q_bn")
