"""Labelled images, in memory or in files, handed out by index."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from nas.data.crops import centre_box, random_box

# Decoding releases the interpreter's lock, so threads do what worker processes would, without copies.
DECODERS = min(os.cpu_count() or 1, 16)
MEMORY = 2**30
Numbers = NDArray[np.float64]


class Images(Protocol):
    """Images with labels."""

    @property
    def labels(self) -> Tensor:
        """int64 `(n,)`."""

    def get(self, indices: Sequence[int], side: int, crops: Numbers | None = None) -> Tensor:
        """float32 `(len(indices), channels, side, side)` in 0..1.

        Args:
            crops: uniform numbers `(len(indices), 40)` for `random_box`; None: whole images, or the centre of
                those that are not square.
        """

    def begin(self, indices: Sequence[int], side: int, crops: Numbers | None = None) -> Callable[[], Tensor]:
        """What `get` gives, later: files may be decoded meanwhile, the rest is computed by whoever calls the result.

        PyTorch's threads of two callers at a time would make each other wait, and training take twice as long.
        """

    def subset(self, indices: Sequence[int]) -> Images:
        """Some of the images, in the order given."""


@dataclass(frozen=True)
class TensorImages:
    """Square images in memory, `(n, channels, s, s)`: float32 in 0..1 or uint8; resized as asked for."""

    pixels: Tensor
    labels: Tensor

    def get(self, indices: Sequence[int], side: int, crops: Numbers | None = None) -> Tensor:
        chosen = as_float(self.pixels[_index(indices)])
        if crops is None:
            return resized(chosen, side)
        height, width = chosen.shape[-2:]
        out = chosen.new_empty((len(chosen), chosen.shape[1], side, side))
        for row, image in enumerate(chosen):
            left, top, right, bottom = map(int, random_box(width, height, crops[row]))
            out[row] = resized(image[None, :, top:bottom, left:right], side)[0]
        return out

    def begin(self, indices: Sequence[int], side: int, crops: Numbers | None = None) -> Callable[[], Tensor]:
        return partial(self.get, indices, side, crops)

    def subset(self, indices: Sequence[int]) -> TensorImages:
        return TensorImages(self.pixels[_index(indices)], self.labels[_index(indices)])


@dataclass(frozen=True)
class DecodedImages:
    """Images decoded when asked for, several at a time.

    Attributes:
        items: whatever `decode` takes, one per image: a path, or a row of a hub data set.
        decode: item to a PIL image in RGB.
    """

    items: Sequence[Any]
    labels: Tensor
    decode: Callable[[Any], Any]
    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(DECODERS), repr=False)

    def get(self, indices: Sequence[int], side: int, crops: Numbers | None = None) -> Tensor:
        return self.begin(indices, side, crops)()

    def begin(self, indices: Sequence[int], side: int, crops: Numbers | None = None) -> Callable[[], Tensor]:
        rows = [None] * len(indices) if crops is None else list(crops)
        pixels = self.pool.map(lambda index, row: self._read(int(index), side, row), indices, rows)
        return lambda: as_float(torch.stack(list(pixels)))

    def subset(self, indices: Sequence[int]) -> DecodedImages:
        return DecodedImages(
            [self.items[int(i)] for i in indices], self.labels[_index(indices)], self.decode, self.pool
        )

    def _read(self, index: int, side: int, crop: Numbers | None) -> Tensor:
        from PIL.Image import Resampling

        image = self.decode(self.items[index])
        width, height = image.size
        box = centre_box(width, height) if crop is None else random_box(width, height, crop)
        image = image.resize((side, side), Resampling.BICUBIC, box=box)
        return torch.from_numpy(np.array(image)).permute(2, 0, 1)


class RememberedImages:
    """Images decoded once and kept, as uint8 at one side: for splits that every evaluation reads again."""

    def __init__(self, images: Images, side: int) -> None:
        self.images, self.side = images, side
        self._pixels = torch.empty((len(images.labels), 3, side, side), dtype=torch.uint8)
        self._known = torch.zeros(len(images.labels), dtype=torch.bool)

    @property
    def labels(self) -> Tensor:
        return self.images.labels

    def get(self, indices: Sequence[int], side: int, crops: Numbers | None = None) -> Tensor:
        if side != self.side or crops is not None:
            return self.images.get(indices, side, crops)
        index = _index(indices)
        missing = index[~self._known[index]]
        if len(missing):
            self._pixels[missing] = (self.images.get(missing.tolist(), side) * 255).round_().to(torch.uint8)
            self._known[missing] = True
        return as_float(self._pixels[index])

    def begin(self, indices: Sequence[int], side: int, crops: Numbers | None = None) -> Callable[[], Tensor]:
        return partial(self.get, indices, side, crops)

    def subset(self, indices: Sequence[int]) -> RememberedImages:
        return RememberedImages(self.images.subset(indices), self.side)


def remembered(images: Images, side: int) -> Images:
    """The images, kept once decoded if they are in files and fit into 1 GiB."""
    fits = len(images.labels) * 3 * side * side <= MEMORY
    return RememberedImages(images, side) if isinstance(images, DecodedImages) and fits else images


def as_float(pixels: Tensor) -> Tensor:
    """Pixels in 0..1 as float32."""
    return pixels.float().div_(255.0) if pixels.dtype == torch.uint8 else pixels


def resized(images: Tensor, side: int) -> Tensor:
    """Images `(n, channels, h, w)` at another side, bicubic and anti-aliased, kept within 0..1."""
    if images.shape[-1] == side and images.shape[-2] == side:
        return images
    size = (side, side)
    return F.interpolate(images, size=size, mode="bicubic", align_corners=False, antialias=True).clamp_(0, 1)


def _index(indices: Sequence[int]) -> Tensor:
    return torch.as_tensor(np.asarray(indices), dtype=torch.long)
