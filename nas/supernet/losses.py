"""Losses of supernet training (ElasticViT, fact sheet §5)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

RATIO_CLIP = 5.0


def soft_cross_entropy(scores: Tensor, target: Tensor) -> Tensor:
    """Mean of `-Σ target · log softmax(scores)`; both `(B, classes)`."""
    return -(target * F.log_softmax(scores, dim=-1)).sum(-1).mean()


def distilled(
    scores: Tensor, answers: Sequence[Tensor], target: Tensor, taught: Tensor | None, *, alone: bool = False
) -> Tensor:
    """Cross-entropy with the labels, with a teacher, or with both.

    A network with a distilled twin has its classifier learn from the labels and the twin from the teacher, each half of
    the loss (DeiT, arXiv 2012.12877, section 3; RepViT's code), here with the teacher's probabilities.

    Args:
        scores: of the network, `(B, classes)`: the mean of classifier and twin where it has both.
        answers: of classifier and twin, each alone; empty where there is no twin.
        target: probabilities by the labels, `(B, classes)`.
        taught: those of the teacher, if there is one.
        alone: without a twin, the teacher's count alone instead of by half.
    """
    if taught is None:
        return soft_cross_entropy(scores, target)
    if len(answers) > 1:
        parts = zip(answers, (target, taught), strict=True)
        return 0.5 * sum((soft_cross_entropy(own.float(), wanted) for own, wanted in parts), torch.zeros(()))
    return soft_cross_entropy(scores, taught if alone else 0.5 * (taught + target))


def teacher_target(scores: Sequence[Tensor], temperature: float) -> Tensor:
    """Mean over teachers of their softmax at a temperature, `(B, classes)`."""
    return torch.stack([(item.float() / temperature).softmax(-1) for item in scores]).mean(0)


def adaptive_alpha_divergence(scores: Tensor, target: Tensor) -> Tensor:
    """Distillation loss of AlphaNet: per sample the larger of the divergences at α = -1 and α = +1.

    With student q, teacher p and r = p/q: `D(-1) = Σ q (min(1/r, 5) - 1) / 2` and `D(+1) = Σ q r log r`.

    Args:
        scores: of the student, `(B, classes)`.
        target: probabilities of the teacher, `(B, classes)`, not differentiated.

    Returns:
        Mean over samples of a surrogate whose gradient is that of the clipped divergence: `-Σ q·ρ·log q` with
        q detached in q·ρ, where ρ = clip(r^α)/α + 1/(α(α-1)) for α = -1 and ρ = r for α = +1.
    """
    log_q = F.log_softmax(scores, dim=-1)
    with torch.no_grad():
        # In logarithms, and q·r written as p: a class that the student has given up on (q = 0 in single
        # precision) must pull hardest, not divide by zero or drop out.
        log_inverse = (log_q - target.log()).clamp_(max=math.log(RATIO_CLIP))
        q = log_q.exp()
        q_inverse = q * log_inverse.exp()
        low = 0.5 * (q_inverse - q).sum(-1)
        high = (torch.xlogy(target, target) - target * log_q).sum(-1)
        weights = torch.where((low > high)[:, None], 0.5 * q - q_inverse, target)
    return -(weights * log_q).sum(-1).mean()
