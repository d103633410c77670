"""How alike the heads of a network attend: cosines between their attention maps, on test images."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from recording import Recording
from seeds import Run
from torch import Tensor

BATCH = 150


@dataclass(frozen=True)
class Likeness:
    """Means over images, blocks and heads.

    Attributes:
        cosine: of each head's map and the most similar one of the other heads of its block.
        centred: the same of the maps minus uniform attention, which all maps have in common.
    """

    cosine: float
    centred: float


def likeness(one: Run, heads: int) -> Likeness:
    """Of a trained network's heads, on all test images."""
    network, plain, centred = one.network(), 0.0, 0.0
    count = 0
    with torch.no_grad():
        for images, _ in one.data.evaluation("test", BATCH, 0):
            ops = Recording()
            network.run(images, ops)
            for first in range(0, len(ops.maps), heads):
                maps = torch.stack(ops.maps[first : first + heads], 1).flatten(
                    2
                )  # images, heads, pairs of pixels
                plain += float(_most_alike(maps).sum())
                centred += float(_most_alike(maps - maps.mean(-1, keepdim=True)).sum())
                count += maps.shape[0] * heads
    return Likeness(plain / count, centred / count)


def _most_alike(maps: Tensor) -> Tensor:
    """Of each head the largest cosine with another one, `(images, heads)`."""
    units = F.normalize(maps, dim=-1)
    cosines = units @ units.transpose(1, 2)
    return (cosines - 3 * torch.eye(maps.shape[1])).amax(-1)
