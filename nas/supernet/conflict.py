"""Gradient conflict: the cosine between two subnets' gradients on one batch, over the weights they share."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from nas.space.batch import Arch
from nas.supernet.trainee import Trainee


def gradient_cosine(supernet: Trainee, images: Tensor, labels: Tensor, a: Arch, b: Arch) -> float:
    """Cosine in -1..1 between the cross-entropy gradients of two subnets over shared weights.

    Batch norms use the batch's statistics without moving the running ones. Gradients are cleared.
    """
    first, second = (_gradient(supernet, images, labels, arch) for arch in (a, b))
    dot = torch.zeros((), device=images.device)
    norm_a, norm_b = dot.clone(), dot.clone()
    for name in first.keys() & second.keys():
        ga, gb = first[name], second[name]
        shared = (ga != 0) & (gb != 0)
        dot += (ga * gb).sum()
        norm_a += (ga * ga * shared).sum()
        norm_b += (gb * gb * shared).sum()
    return float(dot / (norm_a * norm_b).sqrt().clamp_min(1e-30))


def _gradient(supernet: Trainee, images: Tensor, labels: Tensor, arch: Arch) -> dict[str, Tensor]:
    supernet.zero_grad(set_to_none=True)
    loss = F.cross_entropy(supernet(images, arch, momentum=0.0).float(), labels)
    torch.autograd.backward(loss)
    found = {name: p.grad for name, p in supernet.named_parameters() if p.grad is not None}
    supernet.group.average_(list(found.values()))
    supernet.zero_grad(set_to_none=True)
    return found
