"""Which operations a `forward` runs, counted or on tensors: those of `ops` and the operators of its tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from nas.blocks.base import Form, Unit
from nas.blocks.counting_ops import Counting, Shaped
from nas.blocks.elastic import Elastic
from nas.blocks.operations import Operations
from nas.blocks.ops import Ops
from nas.blocks.sizes import Sizes

_RECORDED = sorted(Operations.__abstractmethods__ - {"channels"})
_OPERATORS = {
    **dict.fromkeys(("add", "sub", "__radd__", "__rsub__"), "add"),
    **dict.fromkeys(
        ("mul", "div", "true_divide", "neg", "pow", "__rmul__", "__rdiv__", "__rtruediv__"), "mul"
    ),
}
"""PyTorch's names of operators, and what counting calls them."""


@dataclass
class Log:
    """Names of operations and shapes of what they hand on, those within another operation left out."""

    entries: list[tuple[str, tuple[int, ...]]] = field(default_factory=list)
    depth: int = 0

    def noted(self, name: str, function: Callable[[], Any]) -> Any:
        """What an operation hands on, and a note of it."""
        self.depth += 1
        result = function()
        self.depth -= 1
        if not self.depth:
            parts = result if isinstance(result, list | tuple) else [result]
            self.entries += [(name, tuple(int(size) for size in part.shape)) for part in parts]
        return result


def counted(unit: type[Unit], sizes: Mapping[str, int], form: Form) -> Log:
    """The operations over sizes."""
    ops = _recording(Counting)(form == "deploy")
    ops.log = Log()
    shapes: Any = [Shaped(inp.shape, -1, ops) for inp in unit.inputs(sizes)]
    unit.forward(shapes if unit.joins else shapes[0], Sizes(sizes), ops)
    log: Log = ops.log
    return log


def run(layer: Elastic, x: Any, sizes: Mapping[str, int]) -> Log:
    """The operations of a layer on tensors."""
    ops = _recording(Ops)()
    ops.log = Log()
    with torch.no_grad(), _Operators(ops.log):
        layer(x, sizes, ops)
    log: Log = ops.log
    return log


class _Operators(TorchFunctionMode):
    """Notes the operators of tensors."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self.log = log

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = _OPERATORS.get(getattr(func, "__name__", ""))
        if name is None or self.log.depth:
            return func(*args, **(kwargs or {}))
        return self.log.noted(name, lambda: func(*args, **(kwargs or {})))


def _recording(base: type[Any]) -> type[Any]:
    """The same operations with a log."""

    def wrap(name: str) -> Callable[..., Any]:
        def method(self: Any, *args: Any, **kwargs: Any) -> Any:
            return self.log.noted(name, lambda: getattr(base, name)(self, *args, **kwargs))

        return method

    def combine(self: Any, op: str, a: Shaped, other: Any) -> Any:
        return self.log.noted(op, lambda: Counting.combine(self, op, a, other))

    methods: dict[str, Any] = {name: wrap(name) for name in _RECORDED}
    return type(f"Recording{base.__name__}", (base,), {**methods, "combine": combine})
