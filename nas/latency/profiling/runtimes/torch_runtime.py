"""PyTorch itself, eager, maps channels-last, as the supernet is run."""

from __future__ import annotations

import io
from importlib import metadata
from typing import TYPE_CHECKING

from nas.latency.profiling.runtimes.base import Runtime

if TYPE_CHECKING:
    from torch import Tensor, nn


class Torch(Runtime):
    """Programs of `torch.export`: ATen calls without the Python around them."""

    name = "torch"
    suffix = ".pt2"
    requires = ("torch",)

    @classmethod
    def version(cls) -> str:
        return metadata.version("torch")

    @classmethod
    def export(cls, module: nn.Module, example: Tensor) -> bytes:
        import torch

        if example.dim() == 4:
            module = module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            example = example.contiguous(memory_format=torch.channels_last)
        file = io.BytesIO()
        torch.export.save(torch.export.export(module, (example,), strict=False), file)
        return file.getvalue()


RUNTIME = Torch
