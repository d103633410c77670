"""ExecuTorch with its XNNPACK backend on the CPU."""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING

from nas.latency.profiling.runtimes.base import Runtime

if TYPE_CHECKING:
    from torch import Tensor, nn


class ExecuTorch(Runtime):
    """Programs of ExecuTorch, everything that XNNPACK takes given to it."""

    name = "executorch"
    suffix = ".pte"
    requires = ("executorch",)
    binary = "executor_runner"

    @classmethod
    def export(cls, module: nn.Module, example: Tensor) -> bytes:
        import torch
        from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
        from executorch.exir import to_edge_transform_and_lower
        from executorch.exir.passes.constant_prop_pass import constant_prop_pass

        logging.getLogger("executorch").setLevel(logging.ERROR)
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.export.export(module, (example,), strict=False)
            # Attention's bias is read from a table by position: constant, but gathered at every run otherwise.
            program = constant_prop_pass(program.run_decompositions({}))
            lowered = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()])
            return bytes(lowered.to_executorch().buffer)


RUNTIME = ExecuTorch
