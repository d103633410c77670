"""Core ML packages for Apple's devices: converted anywhere, run on a Mac alone."""

from __future__ import annotations

import io
import logging
import tempfile
import warnings
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from nas.export.formats import ExportFormat, Size

if TYPE_CHECKING:
    from torch import Tensor, nn

PACKAGE = "model.mlpackage"


class CoreMl(ExportFormat):
    """A zipped Core ML package (ML program, iOS 17 and macOS 14 or later)."""

    name, suffix, packages, dynamic = "coreml", ".mlpackage.zip", ("coremltools",), False
    runs_here = False

    @classmethod
    def export(cls, network: nn.Module, example: Tensor) -> bytes:
        logging.getLogger("coremltools").setLevel(logging.CRITICAL)  # it misses the part that runs on a Mac
        import coremltools
        import torch

        with torch.no_grad(), warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
            warnings.simplefilter("ignore")
            program = torch.export.export(network, (example,)).run_decompositions({})
            with _quiet_bars():
                model = coremltools.convert(
                    program,
                    inputs=[coremltools.TensorType("images", shape=tuple(example.shape))],
                    outputs=[coremltools.TensorType("scores")],
                    convert_to="mlprogram",
                    minimum_deployment_target=coremltools.target.iOS17,
                    skip_model_load=True,
                )
            model.save(str(Path(folder) / PACKAGE))
            return _zipped(Path(folder))

    @classmethod
    def usage(cls, file: str, size: Size, channels: int = 3) -> str:
        return f"""import zipfile

import coremltools
import numpy as np

zipfile.ZipFile("{file}").extractall()
model = coremltools.models.MLModel("{PACKAGE}")  # on a Mac
images = np.random.rand(1, {channels}, {size[0]}, {size[1]}).astype(np.float32)  # 0..1, at {size[0]} x {size[1]}
scores = model.predict({{"images": images}})["scores"]
print(scores.argmax(axis=1))
"""


class _quiet_bars:
    """Its progress bars are many, and on standard error."""

    def __enter__(self) -> None:
        from functools import partialmethod

        from tqdm import tqdm

        self.plain = tqdm.__init__
        tqdm.__init__ = partialmethod(tqdm.__init__, disable=True)

    def __exit__(self, *exception: object) -> None:
        from tqdm import tqdm

        tqdm.__init__ = self.plain


def _zipped(folder: Path) -> bytes:
    """All files below a folder, in order and without times: equal models make equal files."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            packed.writestr(zipfile.ZipInfo(path.relative_to(folder).as_posix()), path.read_bytes())
    return file.getvalue()
