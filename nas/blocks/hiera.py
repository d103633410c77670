"""Hiera's block on unrolled tokens, mask-unit or global attention with Q-pooling, and its classifier.

Source: Hiera (arXiv 2306.00989), published code `hiera.py`. TurboViT (Wong, Abbasi, Nair, 2023) is built around the
same two patterns. Pre-norm; the query of a stage's first block is max-pooled over 2×2 tokens. Attention is within mask
units, whose number stays the same from stage to stage, or over all tokens; a pool attends like the stage before it, so
that attention is global only where tokens have become fewer. Differences from the published code, on purpose:

* The shortcut is pooled where tokens are pooled and projected where the width changes, each alone; the published
  code ties both. So a width may change a block before or behind the pool.
* The projection of a shortcut starts as the identity on the channels that both widths have, and residual branches end
  in a projection that starts at 0. Subnets that change the width at other blocks, or are deeper, then mean the same by
  a channel; from random projections, one for each place a width may change at, a supernet hardly learns.
* Biases start at 0 and the classifier like any other layer; layer norms add 1e-5 to the variance, not 1e-6.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from nas.arith import Num, where
from nas.blocks.base import (
    ACTIVATIONS,
    TOKEN_NORMS,
    Field,
    Interface,
    Kernel,
    Parts,
    Sizes,
    Unit,
    Weight,
    refuse,
    when,
)
from nas.blocks.norms import affine
from nas.blocks.transformer import FFN

if TYPE_CHECKING:
    from torch import Tensor

    from nas.blocks.ops import Ops

SCOPES = ("mask_unit", "global")
LAYER_NORM = TOKEN_NORMS.index("layer_norm")


class UnitAttention(Unit):
    """Multi-head attention in `windows` groups of unrolled tokens, with its residual.

    A window has `h·w / windows` keys; with stride 2 a quarter as many queries.
    """

    kind = "unit_attention"
    takes = "unrolled"
    fields = {
        "width": Field(about="channels"),
        "first_width": Field(
            default="width", about="of the stage's first block; another: the width changes after"
        ),
        "last_width": Field(
            default="width", about="of the stage's last block; another: the next width, early"
        ),
        "heads": Field(about="attention heads"),
        "scope": Field(
            default="mask_unit", words=SCOPES, strided=False, about="which tokens attend to each other"
        ),
        "pool_scope": Field(default="mask_unit", words=SCOPES, about="scope of a pool: the stage's before"),
    }
    keys = ("h", "w", "cin", "cout", "stride", "windows", "heads")
    strides = (1, 2)

    @classmethod
    def plan(cls, inp: Interface, fields: Mapping[str, Num]) -> tuple[dict[str, Num], Interface]:
        stride, heads = fields["stride"], fields["heads"]
        cin, cout = _widths(inp, fields)
        scope = fields["scope"] if stride == 1 else fields["pool_scope"]
        windows = where(scope == SCOPES.index("mask_unit"), inp.units, 1)
        h, w = (inp.h, inp.w) if stride == 1 else (inp.h // stride, inp.w // stride)
        refuse(cin != inp.channels, f"{inp.channels} channels come in where the stage's widths say {cin}")
        refuse(cout % heads != 0, f"{heads} heads do not divide {cout} channels")
        refuse(inp.span % stride != 0, "no pool is left in the unrolled order; give 'unroll' a larger span")
        refuse(h * w % windows != 0, f"{windows} mask units do not divide a map of {h}×{w} tokens")
        sizes = {
            "h": inp.h,
            "w": inp.w,
            "cin": cin,
            "cout": cout,
            "stride": stride,
            "windows": windows,
            "heads": heads,
        }
        if stride == 1:
            return sizes, inp.with_(channels=cout)
        return sizes, inp.with_(channels=cout, h=h, w=w, span=inp.span // stride)

    @classmethod
    def weights(cls, s: Sizes) -> dict[str, Weight]:
        cin, cout = s["cin"], s["cout"]
        wider = when(cin != cout, cout)
        return {
            **affine("norm", cin),
            "widen_weight": Weight((wider, cin), "identity", decay=True),
            "widen_bias": Weight((wider,), "zeros"),
            "q_weight": Weight((cout, cin), decay=True),
            "q_bias": Weight((cout,), "zeros"),
            "k_weight": Weight((cout, cin), decay=True),
            "k_bias": Weight((cout,), "zeros"),
            "v_weight": Weight((cout, cin), decay=True),
            "v_bias": Weight((cout,), "zeros"),
            "project_weight": Weight((cout, cout), "zeros", decay=True),
            "project_bias": Weight((cout,), "zeros"),
        }

    @classmethod
    def kernels(cls, s: Sizes) -> list[Kernel]:
        n, cin, cout, windows, heads = s["h"] * s["w"], s["cin"], s["cout"], s["windows"], s["heads"]
        m = n // (s["stride"] * s["stride"])
        pooled, whole, wider = s["stride"] != 1, s["stride"] == 1, cin != cout
        scores = heads * m * (n // windows)
        moved, kept = (windows * heads != 1) & (m != windows), (windows * heads == 1) | (m == windows)
        wide, out = n * cout, m * cout
        return [
            Kernel("norm", n * cin),
            Kernel("matmul", when(wider, wide), when(wider, wide * cin), reads=(0,)),
            Kernel("pool", when(pooled, out), reads=(-1, 1)),
            Kernel("matmul", wide, wide * cin, reads=(0,)),
            Kernel("pool", when(pooled, out), reads=(3,)),
            Kernel("matmul", wide, wide * cin, reads=(0,)),
            Kernel("matmul", wide, wide * cin, reads=(0,)),
            Kernel("matmul", scores, m * (n // windows) * cout, reads=((3, whole), 4, 5)),
            Kernel("softmax", scores, reads=(7,)),
            Kernel("matmul", out, m * (n // windows) * cout, reads=(6, 8)),
            Kernel("copy", when(moved, out), reads=(9,)),
            Kernel("matmul", out, out * cout, reads=((9, kept), 10)),
            Kernel("add", out, reads=((1, wider & whole), 2, 11)),
        ]

    @classmethod
    def forward(cls, x: Tensor, p: Parts, s: Mapping[str, int], ops: Ops) -> Tensor:
        normed = ops.token_norm(x, p, "norm", LAYER_NORM)
        shortcut = cls._shortcut(x, normed, p, s, ops)
        q = ops.queries(normed, p, s["heads"])
        if s["stride"] != 1:
            q = ops.pool_tokens(q, s["stride"])
        k = ops.linear(normed, p["k_weight"], p["k_bias"])
        v = ops.linear(normed, p["v_weight"], p["v_bias"])
        del normed
        weights = ops.window_scores(q, k, s["windows"], s["heads"])
        del q, k
        weights = weights.softmax(-1)
        y = ops.window_weigh(v, weights, s["windows"], s["heads"])
        del v, weights
        y = ops.join_windows(y, x.shape[0], s["windows"])
        y = ops.linear(y, p["project_weight"], p["project_bias"])
        return shortcut + y

    @classmethod
    def _shortcut(cls, x: Tensor, normed: Tensor, p: Parts, s: Mapping[str, int], ops: Ops) -> Tensor:
        if s["cin"] != s["cout"]:
            x = ops.linear(normed, p["widen_weight"], p["widen_bias"])
        return x if s["stride"] == 1 else ops.pool_tokens(x, s["stride"])


def _widths(inp: Interface, fields: Mapping[str, Num]) -> tuple[Num, Num]:
    """Channels in and out of a block. Those inside a stage are read from its fields, so that they depend on few
    decisions, and not, through every block before, on the depth."""
    first, width, position = fields["first_width"], fields["width"], fields["position"]
    cin = inp.channels if position == 0 else first if position == 1 else width
    return cin, where(fields["last"], fields["last_width"], first if position == 0 else width)


class UnitFFN(FFN):
    """The feed-forward network behind `unit_attention`, as wide as what comes in."""

    kind = "unit_ffn"
    takes = "unrolled"
    fields = {
        "mlp_ratio": Field(default=4, about="hidden over input channels"),
        "act": Field(default="gelu", words=ACTIVATIONS),
        "norm": Field(default="layer_norm", words=TOKEN_NORMS),
    }

    @classmethod
    def plan(cls, inp: Interface, fields: Mapping[str, Num]) -> tuple[dict[str, Num], Interface]:
        return super().plan(inp, {**fields, "width": inp.channels})

    @classmethod
    def weights(cls, s: Sizes) -> dict[str, Weight]:
        found = super().weights(s)
        return {**found, "project_weight": Weight(found["project_weight"].shape, "zeros", decay=True)}


class MeanHead(Unit):
    """Unrolled tokens `(B, N, C)` to class scores: mean over the tokens, layer norm, one linear layer."""

    kind = "mean_head"
    takes = "unrolled"
    keys = ("h", "w", "channels", "classes")

    @classmethod
    def plan(cls, inp: Interface, fields: Mapping[str, Num]) -> tuple[dict[str, Num], Interface]:
        sizes = {"h": inp.h, "w": inp.w, "channels": inp.channels, "classes": fields["classes"]}
        return sizes, Interface("vector", fields["classes"], 1, 1)

    @classmethod
    def weights(cls, s: Sizes) -> dict[str, Weight]:
        return {
            **affine("norm", s["channels"]),
            "classes_weight": Weight((s["classes"], s["channels"]), decay=True),
            "classes_bias": Weight((s["classes"],), "zeros"),
        }

    @classmethod
    def kernels(cls, s: Sizes) -> list[Kernel]:
        return [
            Kernel("pool", s["channels"]),
            Kernel("norm", s["channels"], reads=(0,)),
            Kernel("matmul", s["classes"], s["channels"] * s["classes"], reads=(1,)),
        ]

    @classmethod
    def forward(cls, x: Tensor, p: Parts, s: Mapping[str, int], ops: Ops) -> Tensor:
        y = x.mean(1)
        y = ops.token_norm(y, p, "norm", LAYER_NORM)
        return ops.linear(y, p["classes_weight"], p["classes_bias"])
