"""Classifiers: from maps or tokens to class scores.

* `pooled_head`: ElasticViT's ("mbv3" head): `linear(c → expansion·c) → batch norm → act → mean over tokens →
  linear(hidden) → act → linear(classes)`.
* `dual_head`, `dual_map_head`: EfficientFormer's: norm, mean over the map, two linear layers whose mean is the answer.
  The second layer learns from a teacher (DeiT's distillation, arXiv 2012.12877). V1 normalises tokens by layer norm, V2
  maps by batch norm. Deployed, the two layers are one, and V2's norm is part of it: it is affine, so it may as well
  follow the mean.
* `mean_head`: Hiera's (arXiv 2306.00989): mean over the tokens, layer norm, one linear layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nas.arith import Num
from nas.blocks.base import Field, Unit, act
from nas.blocks.layouts import MAP, TOKENS, UNROLLED, Interface
from nas.blocks.operations import Operations
from nas.blocks.sizes import Sizes

HIERA_EPS = 1e-6  # of layer norms, published code `hiera.py`


class PooledHead(Unit):
    """Tokens to class scores by way of two wide layers."""

    kind = "pooled_head"
    takes = TOKENS
    fields = {
        "expansion": Field(default=6, about="token expansion before pooling"),
        "hidden": Field(default=1984, about="hidden layer after pooling"),
        "act": act("hard_swish"),
    }
    keys = ("h", "w", "channels", "expanded", "hidden", "classes", "act")

    @classmethod
    def sizes(cls, inp: Interface, f: Sizes) -> Mapping[str, Num]:
        return {"expanded": f.expansion * inp.channels}

    @classmethod
    def forward(cls, x: Any, s: Sizes, ops: Operations) -> Any:
        y = ops.mean(ops.act(ops.linear_norm("expand", x, s.expanded, norm="bn"), s.act))
        return ops.linear("classes", ops.act(ops.linear("hidden", y, s.hidden), s.act), s.classes)


class DualHead(Unit):
    """Tokens to class scores: layer norm, mean, classifier and distilled classifier."""

    kind = "dual_head"
    takes = TOKENS
    fields = {"distilled": Field(default=1, low=0, high=1, about="a second, distilled classifier: 0 or 1")}
    keys = ("h", "w", "channels", "classes", "distilled")

    @classmethod
    def forward(cls, x: Any, s: Sizes, ops: Operations) -> Any:
        y = ops.mean(cls.norm(x, ops))
        return ops.mean_linear(("classes", "distilled") if s.distilled else ("classes",), y, s.classes)

    @classmethod
    def norm(cls, x: Any, ops: Operations) -> Any:
        """What comes before the mean."""
        return ops.token_norm("norm", x)


class DualMapHead(DualHead):
    """A map to class scores: batch norm, mean, classifier and distilled classifier."""

    kind = "dual_map_head"
    takes = MAP

    @classmethod
    def norm(cls, x: Any, ops: Operations) -> Any:
        return ops.batch_norm("norm", x, foldable=True)


class MeanHead(Unit):
    """Unrolled tokens `(B, N, C)` to class scores."""

    kind = "mean_head"
    takes = UNROLLED
    keys = ("h", "w", "channels", "classes")

    @classmethod
    def forward(cls, x: Any, s: Sizes, ops: Operations) -> Any:
        return ops.linear("classes", ops.token_norm("norm", ops.mean(x), eps=HIERA_EPS), s.classes)
