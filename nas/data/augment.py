"""Augmentations, by kornia.

kornia draws from PyTorch's global generator. It runs here inside a fork of it, seeded by (seed, step), so
that a step's images are a function of these two alone and the caller's generator is untouched.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

Augment = Callable[[Tensor, int], Tensor]


def make_augment(recipe: str, side: int, *, mirrored: bool, seed: int) -> Augment:
    """Augmentation of a batch `(B, C, side, side)` in 0..1 for a step.

    Args:
        recipe: `none`; `embedded`: shifts, scales and turns by little, mirroring where labels allow it;
            `paper`: ElasticViT's (fact sheet §5): resized crop, mirroring, RandAugment n1 at magnitude 1 of 10
            (kornia has no magnitude noise), colour jitter 0.4, erasing of 1 % of the images.
    """
    if recipe == "none":
        return lambda images, step: images
    pipeline = _paper(side, mirrored) if recipe == "paper" else _embedded(mirrored)

    def augment(images: Tensor, step: int) -> Tensor:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed((seed * 1_000_003 + step) % 2**63)
            result: Tensor = pipeline(images)
        return result.clamp_(0, 1)

    return augment


def _embedded(mirrored: bool) -> nn.Module:
    import kornia.augmentation as K

    steps: list[Any] = [K.RandomAffine(degrees=8.0, translate=(0.06, 0.06), scale=(0.9, 1.1), p=0.9)]
    if mirrored:
        steps.append(K.RandomHorizontalFlip(p=0.5))
    return nn.Sequential(*steps)


def _paper(side: int, mirrored: bool) -> nn.Module:
    import kornia.augmentation as K
    from kornia.augmentation.auto import RandAugment

    steps: list[Any] = [K.RandomResizedCrop((side, side), scale=(0.08, 1.0), resample="BICUBIC")]
    if mirrored:
        steps.append(K.RandomHorizontalFlip(p=0.5))
    steps += [
        _Clamp(),
        RandAugment(n=1, m=3),
        K.ColorJiggle(0.4, 0.4, 0.4, p=1.0),
        K.RandomErasing(p=0.01),
    ]
    return nn.Sequential(*steps)


class _Clamp(nn.Module):
    """Bicubic resampling overshoots; the colour operations need 0..1."""

    def forward(self, images: Tensor) -> Tensor:
        return images.clamp(0, 1)
