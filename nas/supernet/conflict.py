"""Gradient conflict: the cosine between subnets' gradients on one batch, over the weights they share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from nas.space.batch import Arch
from nas.supernet.trainee import Trainee

Gradient = dict[str, Tensor]


def gradient_cosine(supernet: Trainee, images: Tensor, labels: Tensor, a: Arch, b: Arch) -> float:
    """Cosine in -1..1 between the cross-entropy gradients of two subnets over shared weights.

    Batch norms use the batch's statistics without moving the running ones. Gradients are cleared.
    """
    return float(gradient_cosines(supernet, images, labels, (a, b))[0, 1])


def gradient_cosines(
    supernet: Trainee, images: Tensor, labels: Tensor, archs: Sequence[Arch]
) -> NDArray[np.float64]:
    """Cosines of all pairs of n subnets, float64 `(n, n)`, from one gradient each; see `gradient_cosine`.

    All n gradients are held at once, each as large as the supernet.
    """
    found = [_gradient(supernet, images, labels, arch) for arch in archs]
    cosines = np.ones((len(archs), len(archs)))
    for i, first in enumerate(found):
        for j in range(i):
            cosines[i, j] = cosines[j, i] = _cosine(first, found[j])
    return cosines


def _cosine(first: Gradient, second: Gradient) -> float:
    dot = torch.zeros((), device=next(iter(first.values())).device)
    norm_a, norm_b = dot.clone(), dot.clone()
    for name in [name for name in first if name in second]:  # in order: sums of floats depend on it
        ga, gb = first[name], second[name]
        shared = (ga != 0) & (gb != 0)
        dot += (ga * gb).sum()
        norm_a += (ga * ga * shared).sum()
        norm_b += (gb * gb * shared).sum()
    return float(dot / (norm_a * norm_b).sqrt().clamp_min(1e-30))


def _gradient(supernet: Trainee, images: Tensor, labels: Tensor, arch: Arch) -> Gradient:
    supernet.zero_grad(set_to_none=True)
    loss = F.cross_entropy(supernet(images, arch, momentum=0.0).float(), labels)
    torch.autograd.backward(loss)
    # copies: a supernet's next gradient takes the memory of this one
    found = {name: p.grad.clone() for name, p in supernet.named_parameters() if p.grad is not None}
    supernet.group.average_(list(found.values()))
    supernet.zero_grad(set_to_none=True)
    return found
