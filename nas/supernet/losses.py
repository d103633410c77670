"""Losses of supernet training (ElasticViT, fact sheet §5)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

RATIO_CLIP = 5.0


def soft_cross_entropy(scores: Tensor, target: Tensor) -> Tensor:
    """Mean of `-Σ target · log softmax(scores)`; both `(B, classes)`."""
    return -(target * F.log_softmax(scores, dim=-1)).sum(-1).mean()


def teacher_target(scores: Sequence[Tensor], temperature: float) -> Tensor:
    """Mean over teachers of their softmax at a temperature, `(B, classes)`."""
    return torch.stack([(item.float() / temperature).softmax(-1) for item in scores]).mean(0)


def adaptive_alpha_divergence(scores: Tensor, target: Tensor) -> Tensor:
    """Distillation loss of AlphaNet: per sample the larger of the divergences at α = -1 and α = +1.

    Args:
        scores: of the student, `(B, classes)`.
        target: probabilities of the teacher, `(B, classes)`, not differentiated.

    Returns:
        Mean over samples of a surrogate whose gradient is that of the clipped divergence; q is detached in its
        weights: `-Σ q·ρ·log q`, with ρ = clip(r^α)/α + 1/(α(α-1)) and r = p/q for α = -1, ρ = r for α = +1.
    """
    log_q = F.log_softmax(scores, dim=-1)
    q = log_q.detach().exp()
    ratio = target / q.clamp_min(1e-12)
    log_ratio = (target.clamp_min(1e-12)).log() - log_q.detach()
    inverse = (1.0 / ratio.clamp_min(1e-12)).clamp(0.0, RATIO_CLIP)
    value_low = (q * (inverse - 1.0) / 2.0).sum(-1)
    value_high = (q * ratio * log_ratio).sum(-1)
    surrogate_low = -(q * (-inverse + 0.5) * log_q).sum(-1)
    surrogate_high = -(q * ratio * log_q).sum(-1)
    return torch.where(value_low > value_high, surrogate_low, surrogate_high).mean()
