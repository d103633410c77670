"""ONNX Runtime on the CPU."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING, Any

from nas.latency.profiling.runtimes.base import Runtime

if TYPE_CHECKING:
    from torch import Tensor, nn

OPSET = 17


class OnnxRuntime(Runtime):
    """Models in ONNX.

    PyTorch's newer exporter takes 0.6–0.8 s for one unit, the one that traces TorchScript 0.05 s, for the same
    graph after ONNX Runtime's own optimisation. Sizes would become part of its graph, so the module is first
    traced to plain ATen calls, in which they are numbers.
    """

    name = "onnxruntime"
    suffix = ".onnx"
    requires = ("onnxruntime", "onnx")
    binary = "onnxruntime_perf_test"

    @classmethod
    def export(cls, module: nn.Module, example: Tensor) -> bytes:
        import torch
        from torch.fx.experimental.proxy_tensor import make_fx

        file: Any = io.BytesIO()
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            graph = make_fx(module, pre_dispatch=True)(example)
            torch.onnx.export(graph, (example,), file, dynamo=False, opset_version=OPSET)
        return bytes(file.getvalue())


RUNTIME = OnnxRuntime
