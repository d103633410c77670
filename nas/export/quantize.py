"""Post-training quantisation to 8 bits, by the quantiser that a runtime brings along."""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

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


class _silent:
    """The quantiser logs advice to the root logger."""

    def __enter__(self) -> None:
        logging.disable(logging.WARNING)

    def __exit__(self, *exception: object) -> None:
        logging.disable(logging.NOTSET)
