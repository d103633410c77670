"""What a block's author meant who asked a tensor, or `ops`, for what there is not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from nas.errors import NasError, suggestion

_WAYS: Mapping[str, Iterable[str]] = {
    'ops.gate(x, "sigmoid")': ("sigmoid", "sigmoid_"),
    'ops.gate(x, "hard_sigmoid")': ("hardsigmoid", "hard_sigmoid"),
    "ops.act(x, s.act), with a field act": (
        "relu",
        "gelu",
        "silu",
        "swish",
        "hardswish",
        "relu_",
        "hard_swish",
    ),
    "ops.softmax(x)": ("softmax", "log_softmax"),
    "ops.mean(x)": ("mean", "sum", "adaptive_avg_pool2d"),
    "ops.halve(x) or ops.neighbours(x)": ("avg_pool2d", "max_pool2d", "pool"),
    "ops.concat([x, y]) for channels, ops.join_tokens([x, y]) for tokens": (
        "cat",
        "concatenate",
        "stack",
        "hstack",
    ),
    "ops.chunk(x, parts) or ops.split_channels(x, sizes) for channels, ops.split_tokens(x, count) for tokens": (
        "split",
        "[…]",
        "narrow",
        "unbind",
    ),
    "ops.to_tokens(x) or ops.to_map(x, h, w)": (
        *("view", "reshape", "flatten", "unflatten", "permute", "transpose", "T", "mT"),
        *("squeeze", "unsqueeze", "contiguous"),
    ),
    "ops.linear, or ops.scores(q, k, heads) and ops.weigh(v, weights)": (
        "@",
        "matmul",
        "bmm",
        "mm",
        "einsum",
    ),
    "ops.conv or ops.conv_norm": ("conv2d", "convolution"),
    "ops.token_norm or ops.batch_norm": ("layer_norm", "norm", "group_norm"),
    "ops.resize(x, h, w)": ("interpolate", "upsample"),
    "the sizes of the layer: s.h, s.w, s.channels": ("size", "dim", "ndim", "numel", "len()"),
    "ops.full_precision(function, x)": ("float", "double", "half", "to", "type"),
    "the operators + - * / **": ("add", "sub", "mul", "div", "pow", "add_", "mul_", "sqrt", "square"),
}
_INSTEAD = {name: way for way, names in _WAYS.items() for name in names}


class UnknownOperation(NasError, AttributeError):
    """An operation that neither `ops` nor its tensors have."""


def of_tensor(name: str) -> UnknownOperation:
    """The error of `x.sigmoid()` and of `torch.sigmoid(x)`."""
    return UnknownOperation(
        f"tensors have no {name!r} in 'forward', which runs over sizes, too: use {_instead(name)}."
    )


def of_ops(name: str) -> UnknownOperation:
    """The error of `ops.sigmoid(x)`."""
    near = suggestion(name, _operations()).strip() if name not in _INSTEAD else ""
    return UnknownOperation(
        f"there is no operation 'ops.{name}'. {near}{' ' if near else ''}Use {_instead(name)}."
    )


def _instead(name: str) -> str:
    return _INSTEAD.get(name) or f"one of ops.{', ops.'.join(_operations())}"


def _operations() -> list[str]:
    from nas.blocks.operations import INNER, Operations
    from nas.blocks.projections import Projections

    return sorted(
        name
        for name in vars(Projections) | vars(Operations)
        if not name.startswith("_") and name not in INNER
    )
