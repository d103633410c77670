"""A training step of PyTorch: forward, backward and AdamW's update, eager, as the trainer runs it.

What EfficientNetV2 calls S in its search objective (Tan and Le 2021, arXiv 2104.00298, section 3.3).
"""

from __future__ import annotations

import io
from importlib import metadata
from typing import TYPE_CHECKING, Any

from nas.latency.profiling.runtimes.base import Runtime

if TYPE_CHECKING:
    from torch import Tensor, nn

    from nas.latency.profiling.timer import Loaded, random_input

WANTS = "wants_gradient"
"""The extra file of an export that says whether the step computes the gradient of its input."""


class TrainingRunner:
    """Training steps of programs of `torch.export`: the loss is the mean of what they put out."""

    def __init__(self, threads: int) -> None:
        import torch

        torch.set_num_threads(threads)
        self.version, self._torch = str(torch.__version__), torch

    def load(self, data: bytes, shape: list[int]) -> Loaded:
        """The program with random numbers as its input."""
        import io

        extra: dict[str, Any] = {"wants_gradient": ""}
        module = self._torch.export.load(io.BytesIO(data), extra_files=extra).module()
        source = self._torch.from_numpy(random_input(shape))
        if source.dim() == 4:
            source = source.contiguous(memory_format=self._torch.channels_last)
        x = source.clone().requires_grad_(extra["wants_gradient"] == "1")
        weights = list(module.parameters())
        update = self._torch.optim.AdamW(weights, lr=1e-6, fused=True).step if weights else lambda: None

        def run() -> None:
            for tensor in (x, *weights):
                tensor.grad = None
            module(x).mean().backward()
            update()

        return Loaded(run, lambda: x.data.copy_(source), module)


class Training(Runtime):
    """Programs of `torch.export` in training mode: batch norms take and keep statistics of their batch."""

    name = "training"
    suffix = ".pt2"
    requires = ("torch",)
    runner = TrainingRunner
    batch = (
        8  # ours: networks at 384 px train in 4 GiB with it, and statistics of a batch cost what they cost
    )
    trains = True

    @classmethod
    def version(cls) -> str:
        return metadata.version("torch")

    @classmethod
    def export(cls, module: nn.Module, example: Tensor) -> bytes:
        import torch

        file, wanted, example = io.BytesIO(), "1" if example.requires_grad else "0", example.detach()
        if example.dim() == 4:
            module = module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            example = example.contiguous(memory_format=torch.channels_last)
        program = torch.export.export(module, (example,), strict=False)
        torch.export.save(program, file, extra_files={WANTS: wanted})
        return file.getvalue()


RUNTIME = Training
