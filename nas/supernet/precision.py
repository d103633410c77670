"""Number formats for training and evaluation."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch

from nas.errors import NasError
from nas.settings import Precision


def bf16_is_fast() -> bool:
    """Whether this CPU multiplies bfloat16 matrices in hardware."""
    check = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return bool(check and check())


def choose(precision: Precision, device: torch.device) -> torch.dtype:
    """The dtype for `precision` on `device`; `auto` is bf16 on a GPU that has it and fp32 otherwise.

    Raises:
        NasError: fp16 on a CPU.
    """
    if precision == "auto":
        gpu_bf16 = device.type == "cuda" and torch.cuda.is_bf16_supported()
        return torch.bfloat16 if gpu_bf16 else torch.float32
    if precision == "fp16" and device.type == "cpu":
        raise NasError("train.precision: fp16 needs a GPU; use fp32 or bf16 on a CPU.")
    return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]


def autocast(dtype: torch.dtype, device: torch.device) -> Callable[[], torch.autocast]:
    """A context maker that runs matrix products and convolutions in `dtype`."""
    enabled = dtype is not torch.float32
    return functools.partial(
        torch.autocast, device.type, dtype=dtype if enabled else torch.bfloat16, enabled=enabled
    )
