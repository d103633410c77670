"""RandAugment (Cubuk et al. 2020) with one operation per image, on batches, by kornia's functions.

The operations, their ranges and the increasing severity are those of timm's `rand-n1-…-inc1`: 15 operations,
each applied with probability 1/2, the magnitude drawn from a normal distribution and clipped to 0..10.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

PROBABILITY = 0.5
LARGEST = 10.0
GREY = 0.5
Operation = Callable[[Tensor, Tensor, Tensor], Tensor]


def rand_augment(images: Tensor, magnitude: float, spread: float, rng: np.random.Generator) -> Tensor:
    """Apply a random operation to about half of the images `(B, C, H, W)` in 0..1; the result is in 0..1."""
    count = len(images)
    chosen = rng.integers(len(OPERATIONS), size=count)
    applied = rng.random(count) < PROBABILITY
    level = np.clip(rng.normal(magnitude, spread, count), 0, LARGEST) / LARGEST
    sign = np.where(rng.random(count) < 0.5, -1.0, 1.0)
    out = images.clone()
    for number, operation in enumerate(OPERATIONS):
        members = np.flatnonzero(applied & (chosen == number))
        if len(members):
            index = torch.from_numpy(members).to(images.device)
            parameters = [
                torch.from_numpy(values[members]).to(images.device, images.dtype) for values in (level, sign)
            ]
            out[index] = operation(images[index], *parameters).clamp_(0, 1)
    return out


def _auto_contrast(images: Tensor, level: Tensor, sign: Tensor) -> Tensor:
    return _kornia().enhance.normalize_min_max(images)  # type: ignore[no-any-return]


def _equalize(images: Tensor, level: Tensor, sign: Tensor) -> Tensor:
    return _kornia().enhance.equalize(images)  # type: ignore[no-any-return]


def _invert(images: Tensor, level: Tensor, sign: Tensor) -> Tensor:
    return 1 - images


def _rotate(images: Tensor, level: Tensor, sign: Tensor) -> Tensor:
    angle = torch.deg2rad(30.0 * level * sign)
    zero = torch.zeros_like(angle)
    return _warp(images, (angle.cos(), -angle.sin(), angle.sin(), angle.cos()), (zero, zero))


def _posterize(images: Tensor, level: Tensor, sign: Tensor) -> Tensor:
    bits = 4 - (4 * level).int()
    return _kornia().enhance.posterize(images, bits)  # type: ignore[no-any-return]


def _solarize(images: Tensor, level: Tensor, sign: Tensor) -> Tensor:
    threshold = _column((256 - (256 * level).int()) / 255)
    return torch.where(images < threshold, images, 1 - images)


def _solarize_add(images: Tensor, level: Tensor, sign: Tensor) -> Tensor:
    return torch.where(images < 128 / 255, images + _column((110 * level).int() / 255), images)


def _colour(images: Tensor, level: Tensor, sign: Tensor) -> Tensor:
    if images.shape[1] != 3:
        return images.clone()
    return _kornia().enhance.adjust_saturation_with_gray_subtraction(  # type: ignore[no-any-return]
        images, _factor(level, sign)
    )


def _contrast(images: Tensor, level: Tensor, sign: Tensor) -> Tensor:
    return _kornia().enhance.adjust_contrast_with_mean_subtraction(  # type: ignore[no-any-return]
        images, _factor(level, sign)
    )


def _brightness(images: Tensor, level: Tensor, sign: Tensor) -> Tensor:
    return _kornia().enhance.adjust_brightness_accumulative(  # type: ignore[no-any-return]
        images, _factor(level, sign)
    )


def _sharpness(images: Tensor, level: Tensor, sign: Tensor) -> Tensor:
    return _kornia().enhance.sharpness(images, _factor(level, sign))  # type: ignore[no-any-return]


def _shear_x(images: Tensor, level: Tensor, sign: Tensor) -> Tensor:
    return _sheared(images, 0.3 * level * sign, horizontal=True)


def _shear_y(images: Tensor, level: Tensor, sign: Tensor) -> Tensor:
    return _sheared(images, 0.3 * level * sign, horizontal=False)


def _translate_x(images: Tensor, level: Tensor, sign: Tensor) -> Tensor:
    return _translated(images, 0.45 * level * sign, horizontal=True)


def _translate_y(images: Tensor, level: Tensor, sign: Tensor) -> Tensor:
    return _translated(images, 0.45 * level * sign, horizontal=False)


OPERATIONS: tuple[Operation, ...] = (
    _auto_contrast,
    _equalize,
    _invert,
    _rotate,
    _posterize,
    _solarize,
    _solarize_add,
    _colour,
    _contrast,
    _brightness,
    _sharpness,
    _shear_x,
    _shear_y,
    _translate_x,
    _translate_y,
)


def _sheared(images: Tensor, amount: Tensor, *, horizontal: bool) -> Tensor:
    one, zero = torch.ones_like(amount), torch.zeros_like(amount)
    along, across = (amount, zero) if horizontal else (zero, amount)
    return _warp(images, (one, along, across, one), (zero, zero))


def _translated(images: Tensor, amount: Tensor, *, horizontal: bool) -> Tensor:
    one, zero = torch.ones_like(amount), torch.zeros_like(amount)
    shift = (amount * images.shape[-1], zero) if horizontal else (zero, amount * images.shape[-2])
    return _warp(images, (one, zero, zero, one), shift)


def _warp(
    images: Tensor, linear: tuple[Tensor, Tensor, Tensor, Tensor], shift: tuple[Tensor, Tensor]
) -> Tensor:
    """A linear map about the centre, then a shift in pixels; what comes into view is grey."""
    height, width = images.shape[-2:]
    x, y = (width - 1) / 2, (height - 1) / 2
    a, b, c, d = linear
    rows = (a, b, x - a * x - b * y + shift[0], c, d, y - c * x - d * y + shift[1])
    matrix = torch.stack(rows, 1).view(-1, 2, 3)
    fill = torch.full((images.shape[1],), GREY, dtype=images.dtype, device=images.device)
    return _kornia().geometry.transform.warp_affine(  # type: ignore[no-any-return]
        images, matrix, (height, width), padding_mode="fill", fill_value=fill
    )


def _factor(level: Tensor, sign: Tensor) -> Tensor:
    return (1 + 0.9 * level * sign).clamp_min(0.1)


def _column(values: Tensor) -> Tensor:
    return values[:, None, None, None]


def _kornia() -> Any:
    # kornia takes over a second to import, which runs without these operations should not pay.
    import kornia

    return kornia
