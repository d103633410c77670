"""Running Once-for-all's code beside the tests."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from timm_beside import Beside

SCRIPT = Path(__file__).parent / "ofa_model.py"


class OnceForAll(Beside):
    """A process that has the authors' code."""

    def __init__(self, folder: Path) -> None:
        super().__init__(SCRIPT, folder)

    def supernet(self, width: float, file: Path, names: str = "new") -> None:
        """Draw a supernet and save its random weights, under the names of `new` or `old` files."""
        self.ask("supernet", width, 1, str(file), names)

    def answer(self, arch: Mapping[str, object], file: Path) -> tuple[torch.Tensor, torch.Tensor]:
        """Two images, and what a subnet of the supernet answers; `ks`, `e`, `d` as theirs, `side` of the images."""
        self.ask("answer", dict(arch), str(file))
        tensors = load_file(file)
        return tensors["input"], tensors["output"]
