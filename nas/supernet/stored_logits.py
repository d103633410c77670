"""What teachers say of the images of a training, stored sparsely: the K most likely classes of each image.

As TinyViT trains (arXiv 2207.10666, §3.1): for each image of each step K probabilities in half precision and their
classes in 16 bits, 4·K bytes; what is left of the probability is spread evenly over the other classes. Images are a
function of step and seed here, so that no seed has to be stored beside.

A folder holds `probabilities.npy` and `classes.npy`, `(steps, batch, K)`, and `about.json`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nas.errors import NasError
from nas.kept import Shape, read_record, write_record

ABOUT, PROBABILITIES, CLASSES = "about.json", "probabilities.npy", "classes.npy"
MOST_CLASSES = 2**15


class About(Shape):
    """What `about.json` must have.

    Attributes:
        identity: what the images depend on.
        teachers: their names, `weights` the hashes of theirs; `done` steps are stored.
    """

    identity: dict[str, Any]
    teachers: list[str]
    weights: list[str] = []
    classes: int
    top: int
    batch: int
    steps: int
    done: int


def sparse(soft: Tensor, top: int) -> tuple[NDArray[np.float16], NDArray[np.int16]]:
    """The `top` largest probabilities of each row `(B, C)`, and their classes."""
    values, classes = soft.float().topk(top, dim=-1)
    return values.to(torch.float16).cpu().numpy(), classes.to(torch.int16).cpu().numpy()


def dense(values: NDArray[np.float16], classes: NDArray[np.int16], count: int) -> Tensor:
    """Probabilities `(B, count)`: those stored, the rest spread evenly; each row sums to 1."""
    kept = torch.from_numpy(values.astype(np.float32))
    top = kept.shape[-1]
    total = kept.sum(-1, keepdim=True)
    if top == count:
        rest, kept = torch.zeros_like(total), kept / total
    else:
        kept = kept / total.clamp_min(1.0)  # half precision may round up
        rest = (1 - kept.sum(-1, keepdim=True)).clamp_min(0.0) / (count - top)
    whole = rest.expand(-1, count).clone()
    return whole.scatter_(1, torch.from_numpy(classes.astype(np.int64)), kept)


class StoredLogits:
    """Stored targets of a training, read step by step."""

    def __init__(self, folder: Path) -> None:
        """Open a folder.

        Raises:
            NasError: there are none, or they are damaged or not finished.
        """
        self.folder, self.about = folder, read_about(folder)
        if self.about.done < self.about.steps:
            raise NasError(
                f"{folder}: {self.about.done:,} of {self.about.steps:,} steps are stored; repeat the 'nas teach' "
                "command that began it, which goes on."
            )
        shape = (self.about.steps, self.about.batch, self.about.top)
        self._values, self._classes = (_opened(folder / name, shape) for name in (PROBABILITIES, CLASSES))

    def target(self, step: int) -> Tensor:
        """Probabilities `(batch, classes)` of a step."""
        return dense(self._values[step], self._classes[step], self.about.classes)

    def check(self, identity: Mapping[str, Any], steps: int) -> None:
        """Refuse targets of other images.

        Raises:
            NasError: names the first setting that differs, or that there are too few steps.
        """
        for name, value in identity.items():
            stored = self.about.identity.get(name)
            if stored != value:
                raise NasError(
                    f"train.logits: {self.folder} holds what teachers said of other images: {name} was {stored!r} "
                    f"there and is {value!r} here. Store them anew: 'nas teach' with the settings of this run."
                )
        if steps > self.about.steps:
            raise NasError(
                f"train.logits: {self.folder} holds {self.about.steps:,} steps, and {steps:,} are trained; store "
                "more of them, or set train.steps."
            )


class LogitWriter:
    """Writes the targets of a training, and goes on where it stopped."""

    def __init__(self, folder: Path, about: About) -> None:
        """Begin a folder, or go on with one of the same images, teachers and K.

        Raises:
            NasError: the folder holds something else, or cannot be written.
        """
        self.folder, self.about = folder, about
        shape = (about.steps, about.batch, about.top)
        if (folder / ABOUT).exists():
            there = read_about(folder)
            if there.model_dump(exclude={"done"}) != about.model_dump(exclude={"done"}):
                raise NasError(f"{folder} holds {_other(there, about)}; give another folder, or delete it.")
            self.about = there
            self._values, self._classes = (
                _opened(folder / name, shape, write=True) for name in (PROBABILITIES, CLASSES)
            )
            return
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._values = np.lib.format.open_memmap(
                folder / PROBABILITIES, mode="w+", dtype=np.float16, shape=shape
            )
            self._classes = np.lib.format.open_memmap(
                folder / CLASSES, mode="w+", dtype=np.int16, shape=shape
            )
        except OSError as error:
            raise NasError(f"{folder} cannot be written: {error.strerror or error}.") from None
        self.flush()

    def write(self, step: int, soft: Tensor) -> None:
        """Store the targets `(batch, classes)` of a step."""
        self._values[step], self._classes[step] = sparse(soft, self.about.top)
        self.about.done = step + 1

    def flush(self) -> None:
        """Put on disk what was written, then say so."""
        self._values.flush()
        self._classes.flush()
        write_record(self.folder / ABOUT, self.about.model_dump())


def _other(there: About, about: About) -> str:
    """What differs, in words."""
    if there.teachers == about.teachers and there.weights != about.weights:
        return "what these teachers said when they had other weights"
    return "what other teachers said, or of other images"


def read_about(folder: Path) -> About:
    """What a folder of stored targets says of them.

    Raises:
        NasError: there is none, or it is damaged.
    """
    remedy = "Store what teachers say with 'nas teach'."
    return About.model_validate(read_record(folder / ABOUT, About, remedy).data)


def _opened(file: Path, shape: tuple[int, int, int], *, write: bool = False) -> np.memmap[Any, np.dtype[Any]]:
    try:
        array: np.memmap[Any, np.dtype[Any]] = np.load(
            file, mmap_mode="r+" if write else "r", allow_pickle=False
        )
    except (OSError, ValueError, EOFError) as error:
        raise NasError(f"{file} cannot be read ({error}); store them anew with 'nas teach'.") from None
    if array.shape != shape:
        raise NasError(f"{file} has the shape {array.shape}, not {shape}; store them anew with 'nas teach'.")
    return array
