"""Mixup and cutmix of a batch (ElasticViT, fact sheet §5: α 0.01 each, one of the two per batch)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

SWITCH = 0.5


def mixing_rng(seed: int, step: int) -> np.random.Generator:
    """What the mixing of a step draws from."""
    return np.random.default_rng([seed, 17, step])


def mix(images: Tensor, target: Tensor, alpha: float, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Mix a batch with its reverse: pixels (mixup) or a rectangle (cutmix), and the targets alike.

    Args:
        images: `(B, C, H, W)`.
        target: probabilities `(B, classes)`.
        alpha: of the Beta distribution of the share; 0 returns the batch as it is.
    """
    if alpha <= 0:
        return images, target
    share = float(rng.beta(alpha, alpha))
    other = images.flip(0)
    if rng.random() < SWITCH:
        mixed, share = _paste(images, other, share, rng)
    else:
        mixed = images * share + other * (1.0 - share)
    return mixed, target * share + target.flip(0) * (1.0 - share)


def _paste(images: Tensor, other: Tensor, share: float, rng: np.random.Generator) -> tuple[Tensor, float]:
    height, width = images.shape[-2:]
    cut = (1.0 - share) ** 0.5
    cy, cx = int(rng.integers(height)), int(rng.integers(width))
    half_h, half_w = int(height * cut) // 2, int(width * cut) // 2
    top, bottom = max(cy - half_h, 0), min(cy + half_h, height)
    left, right = max(cx - half_w, 0), min(cx + half_w, width)
    mixed = images.clone()
    mixed[:, :, top:bottom, left:right] = other[:, :, top:bottom, left:right]
    return mixed, 1.0 - (bottom - top) * (right - left) / (height * width)


def labels_to_targets(labels: Tensor, classes: int, smoothing: float) -> Tensor:
    """One-hot probabilities, smoothed, `(B, classes)`."""
    target = torch.full((len(labels), classes), smoothing / classes, device=labels.device)
    return target.scatter_add_(1, labels[:, None], torch.full_like(target[:, :1], 1.0 - smoothing))
