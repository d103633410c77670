"""Formats a network is exported to, each with a way to run the file again.

The network is handed over in its deployed form (batch norms folded) and takes images of its own resolution.
"""

from __future__ import annotations

import io
import logging
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nas.errors import NasError, unknown
from nas.export.quiet import without_lines

if TYPE_CHECKING:
    from torch import Tensor, nn

Scores = NDArray[np.float32]
Size = tuple[int, int]
"""Height and width of the input in pixels."""
Run = Callable[[NDArray[np.float32]], Scores]
OPSET = 18


class ExportFormat(ABC):
    """One format: a table of functions, never instantiated.

    Attributes:
        name: as `--format` takes it.
        suffix: of the file.
        packages: what must be installed to export and run it; `quantisers`: and to quantise.
        dynamic: whether the file takes any number of images at once; else exactly one.
        runs_here: whether there is a runtime on this machine to compare the file in.
    """

    name: ClassVar[str]
    suffix: ClassVar[str]
    packages: ClassVar[tuple[str, ...]]
    quantisers: ClassVar[tuple[str, ...]] = ()
    dynamic: ClassVar[bool]
    runs_here: ClassVar[bool] = True

    @classmethod
    @abstractmethod
    def export(cls, network: nn.Module, example: Tensor) -> bytes:
        """The file; `example` is `(2, C, H, W)` where the format is dynamic, else `(1, C, H, W)`."""

    @classmethod
    def runner(cls, data: bytes) -> Run:
        """A function from images `(B, C, H, W)` to scores `(B, classes)`, by the runtime itself.

        Raises:
            NasError: it does not run here.
        """
        raise NasError(f"{cls.name} does not run on this machine.")

    @classmethod
    @abstractmethod
    def usage(cls, file: str, size: Size, channels: int = 3) -> str:
        """A program of a few lines that loads and runs the file, with nothing but the runtime installed."""

    @classmethod
    def int8(cls, network: nn.Module, example: Tensor, images: Tensor) -> bytes:
        """The file with weights and activations of 8 bits, calibrated on `images` `(n, C, H, W)`.

        Raises:
            NasError: this format has none here.
        """
        raise NasError(f"--quantize int8 is there for onnx and executorch, not for {cls.name}.")

    @classmethod
    def annotated(cls, data: bytes, meta: Mapping[str, str]) -> bytes:
        """The file with meta data, where the format has room for any."""
        return data

    @classmethod
    def check_installed(cls) -> None:
        """Refuse where a package is missing.

        Raises:
            NasError: which, and how to install it.
        """
        for package in cls.packages:
            try:
                version(package)
            except PackageNotFoundError:
                raise NasError(
                    f'{cls.name} needs {package}, which is not installed; pip install "nas[{cls.packages[0]}]".'
                ) from None


class Onnx(ExportFormat):
    """ONNX, run by ONNX Runtime."""

    name, suffix, packages, dynamic = "onnx", ".onnx", ("onnxruntime", "onnx", "onnxscript"), True

    @classmethod
    def export(cls, network: nn.Module, example: Tensor) -> bytes:
        import torch

        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                network, (example,), dynamo=True, opset_version=OPSET, verbose=False,
                input_names=["images"], output_names=["scores"],
                dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
            )  # fmt: skip
        assert program is not None
        return bytes(program.model_proto.SerializeToString())

    @classmethod
    def annotated(cls, data: bytes, meta: Mapping[str, str]) -> bytes:
        import onnx

        model = onnx.load_model_from_string(data)
        for key, value in meta.items():
            model.metadata_props.add(key=key, value=value)
        return bytes(model.SerializeToString())

    @classmethod
    def int8(cls, network: nn.Module, example: Tensor, images: Tensor) -> bytes:
        from nas.export.quantize import int8_onnx

        return int8_onnx(cls.export(network, example), images.numpy())

    @classmethod
    def runner(cls, data: bytes) -> Run:
        import onnxruntime

        session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
        return lambda images: np.asarray(session.run(["scores"], {"images": images})[0], dtype=np.float32)

    @classmethod
    def usage(cls, file: str, size: Size, channels: int = 3) -> str:
        return f"""import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession("{file}", providers=["CPUExecutionProvider"])
images = np.random.rand(1, {channels}, {size[0]}, {size[1]}).astype(np.float32)  # 0..1, at {size[0]} x {size[1]}
scores = session.run(["scores"], {{"images": images}})[0]
print(scores.argmax(axis=1))
"""


class TorchExport(ExportFormat):
    """A program of `torch.export`, run by PyTorch without this package."""

    name, suffix, packages, dynamic = "torch-export", ".pt2", ("torch",), True

    @classmethod
    def export(cls, network: nn.Module, example: Tensor) -> bytes:
        import torch

        file = io.BytesIO()
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            shapes = ({0: torch.export.Dim("batch", min=1)},)
            torch.export.save(torch.export.export(network, (example,), dynamic_shapes=shapes), file)
        return file.getvalue()

    @classmethod
    def runner(cls, data: bytes) -> Run:
        import torch

        module = torch.export.load(io.BytesIO(data)).module()

        def run(images: NDArray[np.float32]) -> Scores:
            with torch.no_grad():
                return np.asarray(module(torch.from_numpy(images)).numpy())

        return run

    @classmethod
    def usage(cls, file: str, size: Size, channels: int = 3) -> str:
        return f"""import torch

module = torch.export.load("{file}").module()
images = torch.rand(1, {channels}, {size[0]}, {size[1]})  # 0..1, at {size[0]} x {size[1]}
with torch.no_grad():
    scores = module(images)
print(scores.argmax(dim=1))
"""


class ExecuTorch(ExportFormat):
    """A program of ExecuTorch with its XNNPACK backend, for phones and boards."""

    name, suffix, packages, dynamic = "executorch", ".pte", ("executorch",), False
    quantisers = ("torchao",)

    @classmethod
    def export(cls, network: nn.Module, example: Tensor) -> bytes:
        from nas.latency.profiling.runtimes.executorch_runtime import ExecuTorch as Runtime

        return Runtime.export(network, example)

    @classmethod
    def int8(cls, network: nn.Module, example: Tensor, images: Tensor) -> bytes:
        from nas.export.quantize import int8_xnnpack

        return cls.export(int8_xnnpack(network, images), example)

    @classmethod
    def runner(cls, data: bytes) -> Run:
        import torch

        from nas.latency.profiling.runtimes.executorch_runtime import hush

        hush()
        from executorch.runtime import Runtime

        program = Runtime.get().load_program(data)
        with without_lines("[cpuinfo_utils.cpp"):  # files of phones it looks for on every machine
            method: Any = program.load_method("forward")
        if method is None:
            raise NasError("the exported program has no method 'forward'.")

        # The method reads the bytes of the file where they lie, but does not keep them: without, it crashes.
        def run(images: NDArray[np.float32], held: object = (data, program)) -> Scores:
            parts = (torch.from_numpy(images[i : i + 1]) for i in range(len(images)))
            return np.concatenate([method.execute([part])[0].numpy().copy() for part in parts])

        return run

    @classmethod
    def usage(cls, file: str, size: Size, channels: int = 3) -> str:
        return f"""import torch
from executorch.runtime import Runtime

program = Runtime.get().load_program("{file}")
method = program.load_method("forward")
images = torch.rand(1, {channels}, {size[0]}, {size[1]})  # 0..1, at {size[0]} x {size[1]}; one image at a time
scores = method.execute([images.contiguous()])[0]  # it reads memory as it lies, whatever the strides
print(scores.argmax(dim=1))
"""


FORMATS = ("onnx", "torch-export", "executorch", "coreml")


def format_of(name: str) -> type[ExportFormat]:
    """A format by name.

    Raises:
        NasError: unknown, or a package it needs is missing.
    """
    if name not in FORMATS:
        raise NasError(unknown("export format", name, FORMATS))
    form = _format(name)
    form.check_installed()
    return form


def _format(name: str) -> type[ExportFormat]:
    from nas.export.coreml import CoreMl

    return {form.name: form for form in (Onnx, TorchExport, ExecuTorch, CoreMl)}[name]
