"""Drawing the scenes of `shapes` at any side, with analytic anti-aliasing.

Every part is averaged over the pixels' squares: a blob's edge is its distance ramped over one pixel, a
grating is damped by the Fourier transform of a pixel (a sinc), the clutter's squares are weighted by their
overlap with a pixel. A small image is therefore what a camera with few pixels would see, and detail is lost
rather than aliased.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from nas.data.shapes import GRATINGS, LATTICE, Blobs, Difficulty, Scenes, make_scenes

LOBE_DEPTH = 0.35
_CHUNK = 128


def draw_shapes(
    count: int, side: int, *, classes: int, difficulty: Difficulty, seed: int, stream: int
) -> tuple[Tensor, Tensor]:
    """The first `count` images of a stream: uint8 `(count, 3, side, side)` and labels int64 `(count,)`."""
    images = torch.empty((count, 3, side, side), dtype=torch.uint8)
    labels = torch.empty(count, dtype=torch.int64)
    for start in range(0, count, _CHUNK):
        size = min(_CHUNK, count - start)
        scenes = make_scenes(start, size, classes=classes, difficulty=difficulty, seed=seed, stream=stream)
        images[start : start + size] = render(scenes, side).mul_(255).round_().to(torch.uint8)
        labels[start : start + size] = scenes.labels
    return images, labels


def render(scenes: Scenes, side: int) -> Tensor:
    """Draw n scenes: float32 `(n, 3, side, side)` in 0..1."""
    middle = (torch.arange(side) + 0.5) / side
    y, x = torch.meshgrid(middle, middle, indexing="ij")
    ramp, overlap = torch.stack([1 - middle, middle], 1), _overlap(side)
    image = ramp @ scenes.corners @ ramp.T + scenes.level.clutter * (overlap @ scenes.lattice @ overlap.T)
    for blobs in (scenes.smaller, scenes.larger):
        surface = (
            blobs.colour[:, :, None, None] + scenes.level.contrast * _texture(blobs, x, y, side)[:, None]
        )
        image += _coverage(blobs, x, y, side)[:, None] * (surface - image)
    return image.clamp_(0, 1)


def _overlap(side: int) -> Tensor:
    """Share of each pixel's width that each of the lattice's squares covers, `(side, 32)`."""
    pixel, square = torch.arange(side)[:, None] / side, torch.arange(LATTICE) / LATTICE
    shared = torch.minimum(pixel + 1 / side, square + 1 / LATTICE) - torch.maximum(pixel, square)
    return side * shared.clamp_min(0)


def _coverage(blobs: Blobs, x: Tensor, y: Tensor, side: int) -> Tensor:
    """Share of each pixel inside r(θ) = R (1 + a cos(kθ - turn)) / (1 + a), `(n, side, side)`.

    The distance to the outline is (r(θ) - r) over the length of that function's gradient, to first order.
    """
    dx, dy = x - _plane(blobs.x), y - _plane(blobs.y)
    distance = torch.hypot(dx, dy)
    lobes = _plane(blobs.lobes)
    angle = lobes * torch.atan2(dy, dx) - _plane(blobs.turn)
    scale = _plane(blobs.radius) / (1 + LOBE_DEPTH)
    outline = scale * (1 + LOBE_DEPTH * angle.cos())
    # No part of the outline is nearer than this; without it the middle, where angles are dense, would show.
    nearest = torch.maximum(distance, scale * (1 - LOBE_DEPTH))
    slope = scale * LOBE_DEPTH * lobes * angle.sin() / nearest
    return (0.5 + side * (outline - distance) * torch.rsqrt(1 + slope.square())).clamp_(0, 1)


def _texture(blobs: Blobs, x: Tensor, y: Tensor, side: int) -> Tensor:
    """Sum of the gratings averaged over each pixel, `(n, side, side)` in about -2..2."""
    total = torch.zeros((len(blobs.x), *x.shape))
    for index in range(GRATINGS):
        used = blobs.weights[:, index].nonzero()[:, 0]
        along_x = blobs.frequency[used] * blobs.angles[used, index].cos()
        along_y = blobs.frequency[used] * blobs.angles[used, index].sin()
        seen = blobs.weights[used, index] * torch.sinc(along_x / side) * torch.sinc(along_y / side)
        cycles = _plane(along_x) * (x - _plane(blobs.x[used])) + _plane(along_y) * (y - _plane(blobs.y[used]))
        wave = (2 * math.pi * cycles + _plane(blobs.phases[used, index])).cos_()
        total.index_add_(0, used, wave.mul_(_plane(seen)))
    return total


def _plane(values: Tensor) -> Tensor:
    return values[:, None, None]
