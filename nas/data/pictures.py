"""Pictures as files hold them, made the RGB images that networks read."""

from __future__ import annotations

from typing import Any

import numpy as np

_MOST = 2**16 - 1


def as_rgb(picture: Any) -> Any:
    """A PIL image in RGB of 8 bits.

    It is turned upright as its EXIF data say; 16 bits are scaled to 8; transparency is dropped.

    Raises:
        ValueError: its pixels are numbers of an unknown range: floating point, or more than 16 bits.
    """
    from PIL import ImageOps

    upright = ImageOps.exif_transpose(picture)
    if upright.mode.startswith("I"):
        upright = _from_16_bits(upright)
    if upright.mode == "F":
        raise ValueError("its pixels are floating-point numbers, whose range is not known")
    if upright.mode == "P":
        upright = upright.convert("RGBA")  # PIL warns where a palette with transparency does not go this way
    return upright.convert("RGB")


def _from_16_bits(picture: Any) -> Any:
    """Grey of 16 bits as grey of 8; PIL would take all above 255 for white."""
    from PIL import Image

    levels = np.asarray(picture).astype(np.int64)
    if levels.min() < 0 or levels.max() > _MOST:
        raise ValueError("its pixels have more than 16 bits, and their range is not known")
    return Image.fromarray(((levels * 255 + _MOST // 2) // _MOST).astype(np.uint8))
