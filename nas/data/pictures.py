"""Pictures as files hold them, made the RGB images that networks read."""

from __future__ import annotations

from typing import Any

import numpy as np

from nas.errors import NasError

_MOST = 2**16 - 1
_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as image files turn grey


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


def with_channels(images: Any, channels: int) -> Any:
    """Images `(n, 3 or 1, h, w)` with as many channels as a network reads: grey is the luma of RGB.

    Raises:
        NasError: neither.
    """
    have = images.shape[1]
    if have == channels:
        return images
    if (have, channels) == (3, 1):
        weights = images.new_tensor(_LUMA)[:, None, None]
        return (images * weights).sum(1, keepdim=True)
    if (have, channels) == (1, 3):
        return images.expand(-1, 3, -1, -1)
    raise NasError(
        f"input.channels is {channels}, but the images have {have}: images of 3 channels are read by networks of 3, or "
        "of 1 as grey."
    )


def _from_16_bits(picture: Any) -> Any:
    """Grey of 16 bits as grey of 8; PIL would take all above 255 for white."""
    from PIL import Image

    levels = np.asarray(picture).astype(np.int64)
    if levels.min() < 0 or levels.max() > _MOST:
        raise ValueError("its pixels have more than 16 bits, and their range is not known")
    return Image.fromarray(((levels * 255 + _MOST // 2) // _MOST).astype(np.uint8))
