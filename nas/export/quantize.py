"""Post-training quantisation to 8 bits, by the quantiser that a runtime brings along."""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor, nn

CALIBRATION = 256
"""Training images that the ranges of activations are taken from."""
_AT_ONCE = 16


def int8_onnx(model: bytes, images: NDArray[np.float32]) -> bytes:
    """An ONNX model with weights and activations of 8 bits (QDQ, weights by channel), by ONNX Runtime's quantiser.

    Args:
        images: to calibrate on, `(n, C, H, W)` as the model takes them.
    """
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.parts: Iterator[NDArray[np.float32]] = iter(
                [images[start : start + _AT_ONCE] for start in range(0, len(images), _AT_ONCE)]
            )

        def get_next(self) -> dict[str, Any] | None:
            part = next(self.parts, None)
            return None if part is None else {"images": part}

    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), _silent():
        warnings.simplefilter("ignore")
        plain, prepared, done = (Path(folder) / name for name in ("plain.onnx", "prepared.onnx", "int8.onnx"))
        plain.write_bytes(model)
        quant_pre_process(str(plain), str(prepared), skip_symbolic_shape=True)
        quantize_static(
            str(prepared), str(done), Reader(), quant_format=QuantFormat.QDQ, per_channel=True,
            activation_type=QuantType.QInt8, weight_type=QuantType.QInt8,
        )  # fmt: skip
        return done.read_bytes()


def int8_xnnpack(network: nn.Module, images: Tensor) -> nn.Module:
    """A network with weights and activations of 8 bits where XNNPACK has such kernels, by ExecuTorch's quantiser.

    Convolutions, linear layers, sums, products and poolings become 8 bits, weights by channel; attention's matrix
    products, softmax and layer norms stay as they are.

    Args:
        network: at eval, of images `(n, C, H, W)`.
        images: to calibrate on.
    """
    import torch

    from nas.latency.profiling.runtimes.executorch_runtime import hush

    hush()
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
        XNNPACKQuantizer,
        get_symmetric_quantization_config,
    )
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    with torch.no_grad(), warnings.catch_warnings(), _silent():
        warnings.simplefilter("ignore")
        any_number = ({0: torch.export.Dim("batch", min=1)},)
        program = torch.export.export(network, (images[:2],), dynamic_shapes=any_number).module()
        quantizer = XNNPACKQuantizer().set_global(get_symmetric_quantization_config(is_per_channel=True))
        observed = prepare_pt2e(program, quantizer)
        for part in images.split(_AT_ONCE):
            observed(part)
        quantised: nn.Module = convert_pt2e(observed)
        return quantised


class _silent:
    """Quantisers log advice to the root logger."""

    def __enter__(self) -> None:
        logging.disable(logging.WARNING)

    def __exit__(self, *exception: object) -> None:
        logging.disable(logging.NOTSET)
