"""ExecuTorch with its XNNPACK backend on the CPU."""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING, Any

from nas.latency.profiling.runtimes.base import Runtime

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.fx import Node

XNNPACK_AXES = 6
"""`XNN_MAX_TENSOR_DIMS` of its header."""


class ExecuTorch(Runtime):
    """Programs of ExecuTorch, everything that XNNPACK takes given to it."""

    name = "executorch"
    suffix = ".pte"
    requires = ("executorch",)
    binary = "executor_runner"

    @classmethod
    def export(cls, module: nn.Module, example: Tensor) -> bytes:
        import torch

        hush()
        from executorch.exir import to_edge_transform_and_lower
        from executorch.exir.passes.constant_prop_pass import constant_prop_pass

        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.export.export(module, (example,), strict=False).run_decompositions({})
            # Weights of 8 bits are dequantised by XNNPACK itself; done here, they would be stored with 32.
            kept = {node.target for node in program.graph.nodes if _quantises(node)}
            # Attention's bias is read from a table by position: constant, but gathered at every run otherwise.
            program = constant_prop_pass(program, custom_skip_targets=kept)
            lowered = to_edge_transform_and_lower(program, partitioner=[_partitioner()])
            return bytes(lowered.to_executorch().buffer)


def hush() -> None:
    """Call before its packages are imported: they warn of parts that are not for this machine, and of each other."""
    for name in ("executorch", "torchao", "torch.utils._pytree"):
        logging.getLogger(name).setLevel(logging.ERROR)


def _partitioner() -> Any:
    """XNNPACK's partitioner, which would give it tensors of more axes than it takes: such files do not load."""
    from executorch.backends.xnnpack.partition.config import ALL_PARTITIONER_CONFIGS
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner

    return XnnpackPartitioner([type(rule.__name__, (_FewAxes, rule), {}) for rule in ALL_PARTITIONER_CONFIGS])


class _FewAxes:
    """Mixed into a rule of which operations XNNPACK takes."""

    def check_constraints(self, node: Node, program: Any) -> bool:
        """Whether the rule takes the node, all of whose tensors XNNPACK can hold."""
        tensors = [part.meta.get("val") for part in (node, *node.all_input_nodes)]
        if any(getattr(tensor, "ndim", 0) > XNNPACK_AXES for tensor in tensors):
            return False
        return bool(super().check_constraints(node, program))  # type: ignore[misc]


def _quantises(node: Node) -> bool:
    return getattr(node.target, "namespace", "") == "quantized_decomposed"


RUNTIME = ExecuTorch
