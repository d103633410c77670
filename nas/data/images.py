"""Labelled images, in memory or in files, handed out by index."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from nas.errors import NasError

DECODERS = 4


class Images(Protocol):
    """Images with labels."""

    @property
    def labels(self) -> Tensor:
        """int64 `(n,)`."""

    def get(self, indices: Sequence[int], side: int) -> Tensor:
        """float32 `(len(indices), channels, side, side)` in 0..1."""

    def subset(self, indices: Sequence[int]) -> Images:
        """Some of the images, in the order given."""


@dataclass(frozen=True)
class TensorImages:
    """Images in memory, `(n, channels, h, w)`, float32 in 0..1 or uint8; resized where another side is asked for."""

    pixels: Tensor
    labels: Tensor

    def get(self, indices: Sequence[int], side: int) -> Tensor:
        chosen = self.pixels[torch.as_tensor(np.asarray(indices), dtype=torch.long)]
        if chosen.dtype == torch.uint8:
            chosen = chosen.float() / 255.0
        return resized(chosen, side)

    def subset(self, indices: Sequence[int]) -> TensorImages:
        index = torch.as_tensor(np.asarray(indices), dtype=torch.long)
        return TensorImages(self.pixels[index], self.labels[index])


@dataclass(frozen=True)
class DecodedImages:
    """Images decoded when asked for, several at a time.

    Attributes:
        items: whatever `decode` takes, one per image: a path, or a row of a hub data set.
        decode: item to a PIL image.
    """

    items: Sequence[Any]
    labels: Tensor
    decode: Callable[[Any], Any]
    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(DECODERS), repr=False)

    def get(self, indices: Sequence[int], side: int) -> Tensor:
        chosen = [self.items[int(index)] for index in indices]
        return torch.stack(list(self.pool.map(lambda item: _tensor(self.decode(item), side), chosen)))

    def subset(self, indices: Sequence[int]) -> DecodedImages:
        index = torch.as_tensor(np.asarray(indices), dtype=torch.long)
        return DecodedImages(
            [self.items[int(i)] for i in indices], self.labels[index], self.decode, self.pool
        )


def open_image(path: Path) -> Any:
    """A PIL image in RGB.

    Raises:
        NasError: the file is not an image, or broken.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise NasError(f"{path}: cannot be read as an image ({error}). Remove or replace the file.") from None


def _tensor(image: Any, side: int) -> Tensor:
    """Shorter side to 256/224 of `side`, centre crop, 0..1: the evaluation geometry of ImageNet."""
    from PIL import Image

    scale = side * 256 / 224 / min(image.size)
    size = tuple(max(round(length * scale), side) for length in image.size)
    image = image.resize(size, Image.Resampling.BICUBIC)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    pixels = np.array(image.crop((left, top, left + side, top + side)), dtype=np.float32)
    return torch.from_numpy(pixels).permute(2, 0, 1) / 255.0


def resized(images: Tensor, side: int) -> Tensor:
    """Images at another side, bicubic and anti-aliased, kept within 0..1."""
    if images.shape[-1] == side and images.shape[-2] == side:
        return images
    size = (side, side)
    return F.interpolate(images, size=size, mode="bicubic", align_corners=False, antialias=True).clamp_(0, 1)
