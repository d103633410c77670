"""Probing a built network with stimuli: what its blocks do, measured on a few images.

Responses by name, for each stage that has what it takes:

* `loss`: mean cross-entropy on the stimuli, in nats.
* `STAGE.saliency`: mean over its blocks of `|Σ g · f|`, f being what a block adds to its input (its output, where
  shapes differ) and g the gradient of the loss there: to first order, what the loss would change by without it
  (Molchanov et al., arXiv 1906.10771, for channels). In nats.
* `STAGE.last`: what the loss changes by if the stage's last block is left out, measured; in nats. Absent where the
  block hands on another shape than it takes, or converts its layout.
* `STAGE.rank`: effective rank of the channels a stage hands on, over the most it could be; 1 where none is redundant.
  The effective rank is the exponential of the entropy of the singular values' shares (Roy and Vetterli 2007).
* `STAGE.entropy`: mean entropy of its attention weights over the logarithm of the number of keys; 1 where attention
  looks everywhere alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import log

import torch
import torch.nn.functional as F
from torch import Tensor

from nas.accuracy.inherited import Batch, recalibrate
from nas.blocks.ops import Ops
from nas.blocks.registry import CONVERTERS
from nas.space.batch import Arch
from nas.space.lowering import INPUT
from nas.supernet.network import Network, Walk, start
from nas.supernet.supernet import Supernet

TINY, SUM = 1e-12, 1e-3


class Listening(Ops):
    """Tensor operations that note the entropy of attention weights.

    Attributes:
        heard: one number for each attention whose weights are probabilities over more than one key.
    """

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[float] = []

    def window_weigh(self, v: Tensor, weights: Tensor, windows: int, heads: int) -> Tensor:
        self._note(weights)
        return super().window_weigh(v, weights, windows, heads)

    def weigh(self, v: Tensor, weights: Tensor) -> Tensor:
        self._note(weights)
        return super().weigh(v, weights)

    def weigh_map(self, v: Tensor, weights: Tensor, h: int, w: int) -> Tensor:
        self._note(weights)
        return super().weigh_map(v, weights, h, w)

    def _note(self, weights: Tensor) -> None:
        p, keys = weights.detach().float(), weights.shape[-1]
        shares = bool((p >= 0).all()) and bool(((p.sum(-1) - 1).abs() < SUM).all())
        if keys > 1 and shares:
            entropy = -(p * p.clamp_min(TINY).log()).sum(-1).mean()
            self.heard.append(float(entropy) / log(keys))


@dataclass(frozen=True)
class Place:
    """The layers of one position: `first` to `last` of the network's, without the latter.

    Attributes:
        optional: whether what follows could take its input instead of its output.
    """

    name: str
    stage: str
    first: int
    last: int
    optional: bool


@dataclass(frozen=True)
class Probing:
    """Probes subnets of a supernet, always with the same images.

    Attributes:
        supernet: with the weights to inherit.
        stimuli: images and labels.
    """

    supernet: Supernet
    stimuli: Callable[[], Iterator[Batch]]

    def __call__(self, arch: Arch) -> dict[str, float]:
        """Responses of `arch` by name."""
        network = self.supernet.extract(arch).requires_grad_(False)
        batches = list(self.stimuli())
        images, labels = torch.cat([x for x, _ in batches]), torch.cat([y for _, y in batches])
        recalibrate(network, iter([images]))
        return probe(network, images, labels)


def probe(network: Network, images: Tensor, labels: Tensor) -> dict[str, float]:
    """Responses of one network in evaluation mode; see the module."""
    places = places_of(network)
    ops = Listening()
    walk = start(images, network.description)
    walk.x = walk.x.detach().requires_grad_()
    walk.keep([INPUT])
    before, inputs, outputs, entropies = [], [], [], []
    for place in places:
        before.append(walk.branch())
        inputs.append(walk.x)
        noted = len(ops.heard)
        outputs.append(_run(network, walk, place.first, place.last, ops))
        entropies.append(ops.heard[noted:])
    x = walk.x
    loss = F.cross_entropy(x.float(), labels)
    gradients = torch.autograd.grad(loss, outputs)
    found = {"loss": loss.item()}
    with torch.no_grad():
        saliencies = [_saliency(*parts) for parts in zip(inputs, outputs, gradients)]
        for stage, group in groupby(range(len(places)), key=lambda i: places[i].stage):
            own = list(group)
            found |= _of_stage(stage, own, saliencies, entropies)
            found[f"{stage}.rank"] = effective_rank(outputs[own[-1]])
            last = places[own[-1]]
            if last.optional and inputs[own[-1]].shape == outputs[own[-1]].shape:
                without = _run(network, before[own[-1]], last.last, len(network.layers), Ops())
                found[f"{stage}.last"] = float(F.cross_entropy(without.float(), labels)) - loss.item()
    del found[f"{places[-1].stage}.rank"]  # its outputs are the classes' scores
    return found


def places_of(network: Network) -> list[Place]:
    """The positions of a network, in order."""
    converters = set(CONVERTERS.values())
    found = []
    for name, group in groupby(enumerate(network.description), key=lambda pair: pair[1].place):
        layers = list(group)
        stage, _, position = name.rpartition(".")
        tied = any(layer.unit in converters or layer.reads or layer.keeps for _, layer in layers)
        plain = position.isdecimal() and not tied
        found.append(Place(name, stage or name, layers[0][0], layers[-1][0] + 1, plain))
    return found


def effective_rank(x: Tensor) -> float:
    """Effective rank of the channels of a map `(B, C, H, W)`, tokens `(B, N, C)` or vectors `(B, C)`, means taken off.

    Over the least of channels and samples, so that it lies in (0, 1]; NaN where a value is not finite.
    """
    rows = (x.permute(0, 2, 3, 1) if x.dim() == 4 else x).flatten(0, -2).float()
    rows = rows - rows.mean(0)
    gram = rows.T @ rows if rows.shape[0] >= rows.shape[1] else rows @ rows.T
    if not gram.isfinite().all():
        return float("nan")
    values = torch.linalg.eigvalsh(gram).clamp_min(0).sqrt()
    shares = values / values.sum().clamp_min(TINY)
    entropy = -(shares * shares.clamp_min(TINY).log()).sum()
    return float(entropy.exp()) / len(gram)


def _run(network: Network, walk: Walk, first: int, last: int, ops: Ops) -> Tensor:
    for index in range(first, last):
        walk.step(network.description[index], network.layers[index], ops)
    return walk.x


def _saliency(x: Tensor, y: Tensor, gradient: Tensor) -> float:
    added = y - x if x.shape == y.shape else y
    return float((gradient.double() * added.double()).sum().abs())


def _of_stage(
    stage: str, own: Sequence[int], saliencies: Sequence[float], entropies: Sequence[list[float]]
) -> dict[str, float]:
    heard = [value for index in own for value in entropies[index]]
    found = {f"{stage}.saliency": sum(saliencies[index] for index in own) / len(own)}
    return found | ({f"{stage}.entropy": sum(heard) / len(heard)} if heard else {})
