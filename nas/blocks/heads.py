"""Classifiers: from maps or tokens to class scores.

* `pooled_head`: ElasticViT's ("mbv3" head): `linear(c → expansion·c) → batch norm → act → mean over tokens →
  linear(hidden) → act → linear(classes)`.
* `dual_head`, `dual_map_head`: EfficientFormer's: norm, mean over the map, two linear layers whose mean is the answer.
  The second layer learns from a teacher (DeiT's distillation, arXiv 2012.12877). V1 normalises tokens by layer norm, V2
  maps by batch norm. Deployed, the two layers are one, and V2's norm is part of it: it is affine, so it may as well
  follow the mean.
* `mean_head`: Hiera's (arXiv 2306.00989): mean over the tokens, layer norm, one linear layer.
* `classifier`: a map's, of the families that came later: 1×1 convolution with batch norm (EfficientNetV2, MIT's
  EfficientViT) or none, mean, hidden layer or none, norm or none, linear layer, and a distilled twin with a norm of its
  own (RepViT) or none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nas.arith import Num
from nas.blocks.base import Field, Unit, act, eps_of, epsilon
from nas.blocks.layouts import MAP, TOKENS, UNROLLED, Interface
from nas.blocks.operations import Operations
from nas.blocks.sizes import Sizes

HIERA_EPS = 1e-6  # of layer norms, published code `hiera.py`
HEAD_NORMS = ("none", "batch_norm", "layer_norm")


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


class Classifier(Unit):
    """A map to class scores, with what a family has on the way."""

    kind = "classifier"
    fields = {
        "features": Field(default=0, low=0, about="channels of a 1×1 convolution before the mean; 0: none"),
        "hidden": Field(default=0, low=0, about="width of a hidden layer behind the mean; 0: none"),
        "hidden_norm": Field(default="none", words=("none", "layer_norm"), about="norm of the hidden layer"),
        "norm": Field(default="none", words=HEAD_NORMS, about="norm before the last layer"),
        "distilled": Field(default=0, low=0, high=1, about="a second, distilled classifier: 0 or 1"),
        "act": act("none"),
        "eps": epsilon(5),
    }
    keys = (
        "h",
        "w",
        "channels",
        "features",
        "hidden",
        "hidden_norm",
        "norm",
        "classes",
        "distilled",
        "act",
        "eps",
    )

    @classmethod
    def forward(cls, x: Any, s: Sizes, ops: Operations) -> Any:
        if s.features != 0:
            x = ops.act(ops.conv_norm("features", x, s.features, eps=eps_of(s)), s.act)
        y = ops.mean(x)
        if s.hidden != 0:
            y = ops.linear("hidden", y, s.hidden, bias=False)
            y = ops.act(ops.token_norm("hidden_norm", y, eps=eps_of(s)) if s.hidden_norm else y, s.act)
        if s.norm == HEAD_NORMS.index("layer_norm"):
            y = ops.token_norm("norm", y, eps=eps_of(s))
        names = ("classes", "distilled") if s.distilled else ("classes",)
        normed = s.norm == HEAD_NORMS.index("batch_norm")
        norms = ("norm", "distilled_norm")[: len(names)] if normed else ()
        return ops.mean_linear(names, y, s.classes, norms=norms, eps=eps_of(s))


PARTS = (PooledHead, DualHead, DualMapHead, MeanHead, Classifier)
