"""Relaxed architectures: every block of a position runs, and their outputs are mixed by trained weights.

Source: EfficientFormer (arXiv 2206.01191), §4: with logits α, noise ε and a temperature τ, a position hands on
`Σ_n softmax((α + ε) / τ)_n · block_n(x)`, identity being one of the blocks. The importance of a position is the
ratio of probabilities `Σ_{n ≠ identity} exp((α_n - α_identity) / τ)`: the ratio of the logits themselves, as the
paper writes it, means nothing where a logit is zero or negative.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from math import log

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nas.space.batch import Arch
from nas.space.choices import IDENTITY, Choice, choices_of
from nas.space.lowering import Slot, lower
from nas.space.space import Space
from nas.supernet.network import Layer, at_row, layer_of


@dataclass(frozen=True)
class Relaxed:
    """An architecture whose positions are mixtures.

    Attributes:
        arch: what is chosen apart from the blocks; its blocks do not matter.
        noise: added to the logits, float64 `(positions, blocks)` by stage.
        temperature: of the softmax; the lower, the nearer to one block.
        hard: the likeliest block alone counts, with weight 1, though all run; gradients are the soft weights'
            (straight-through).
    """

    arch: Arch
    noise: Mapping[str, NDArray[np.float64]]
    temperature: float
    hard: bool = False


@dataclass(frozen=True)
class Mixture:
    """One position of a relaxed network: the layers of each block, none for identity.

    Attributes:
        keeps: streams under which the mixture is kept.
    """

    choice: Choice
    options: tuple[tuple[Layer, ...], ...]
    keeps: tuple[str, ...] = ()

    @property
    def first(self) -> Layer:
        """The first layer of the first block that has any."""
        return next(layers[0] for layers in self.options if layers)


class Relaxation(nn.Module):
    """The logits of a relaxed supernet, `(positions, blocks)` by stage, zero at the start.

    Attributes:
        temperature: the last one that was trained with; probabilities and importances refer to it.
    """

    temperature: Tensor

    def __init__(self, choices: Mapping[str, Sequence[Choice]]) -> None:
        super().__init__()
        self.choices = {stage: tuple(found) for stage, found in choices.items()}
        self.logits = nn.ParameterDict(
            {s: nn.Parameter(torch.zeros(len(c), len(c[0].values))) for s, c in self.choices.items()}
        )
        self.register_buffer("temperature", torch.ones(()))

    def weights(self, relaxed: Relaxed) -> dict[str, Tensor]:
        """Weights of the blocks `(positions, blocks)` by stage, each row summing to 1, differentiable."""
        found = {}
        for stage, logits in self.logits.items():
            noise = torch.as_tensor(relaxed.noise[stage], dtype=logits.dtype, device=logits.device)
            soft = ((logits + noise) / relaxed.temperature).softmax(-1)
            found[stage] = _straight_through(soft) if relaxed.hard else soft
        return found

    def probabilities(self) -> dict[str, Tensor]:
        """Probabilities of the blocks without noise `(positions, blocks)` by stage, differentiable."""
        return {stage: (logits / self.temperature).softmax(-1) for stage, logits in self.logits.items()}

    @torch.no_grad()
    def importance(self) -> dict[str, tuple[float, ...]]:
        """How much likelier than identity the other blocks of each position are together, by stage."""
        found = {}
        for stage, logits in self.logits.items():
            scaled = logits.double() / self.temperature.double()
            identity = self.choices[stage][0].values.index(IDENTITY)
            ratios = (_without(scaled, identity) - scaled[:, identity, None]).exp().sum(-1)
            found[stage] = tuple(float(ratio) for ratio in ratios)
        return found

    @torch.no_grad()
    def identity(self) -> float:
        """Mean probability of identity over all positions."""
        parts = [
            probabilities[:, self.choices[stage][0].values.index(IDENTITY)]
            for stage, probabilities in self.probabilities().items()
        ]
        return float(torch.cat(parts).mean())

    @torch.no_grad()
    def hold_back_identity(self, at_most: float) -> None:
        """Lower the logit of identity wherever its probability is above `at_most`, to exactly that."""
        for stage, logits in self.logits.items():
            identity = self.choices[stage][0].values.index(IDENTITY)
            others = (_without(logits, identity) / self.temperature).logsumexp(-1)
            highest = (others + log(at_most / (1.0 - at_most))) * self.temperature
            logits[:, identity] = torch.minimum(logits[:, identity], highest)


def _without(logits: Tensor, column: int) -> Tensor:
    return torch.cat([logits[:, :column], logits[:, column + 1 :]], dim=1)


def _straight_through(soft: Tensor) -> Tensor:
    chosen = torch.zeros_like(soft).scatter_(-1, soft.detach().argmax(-1, keepdim=True), 1.0)
    return chosen + soft - soft.detach()


def ranking(importance: Sequence[float]) -> list[int]:
    """Positions by importance, the most important first; of equal ones the earlier."""
    return sorted(range(len(importance)), key=lambda position: (-importance[position], position))


def relaxed_layers(space: Space, arch: Arch, scale: float, classes: int | None) -> list[Layer | Mixture]:
    """What a relaxed network with the sizes of `arch` runs, in order."""
    slots, rows, choices = options_of(space, arch, scale, classes)
    plan: list[Layer | Mixture] = []
    for place, found in groupby(slots, lambda slot: slot.place):
        if place not in choices:
            plan += [layer_of(slot, 0) for slot in found if _active(slot, 0)]
            continue
        there, choice = list(found), choices[place]
        options = [
            tuple(replace(layer_of(s, row), keeps=()) for s in there if _active(s, row))
            for row in rows[place].values()
        ]
        if any(options):
            keeps = tuple(name for slot in there for name in slot.keeps)
            plan.append(Mixture(choice, tuple(options), keeps))
    return plan


def options_of(
    space: Space, arch: Arch, scale: float = 1.0, classes: int | None = None
) -> tuple[list[Slot], dict[str, dict[str, int]], dict[str, Choice]]:
    """Slots with a row for each block of each position, all other positions being empty (row 0: all are).

    Alone between empty positions, a block has its own converters of layout.

    Returns:
        The slots; the row of each block by place; the choices by place.
    """
    choices = {choice.place: choice for found in choices_of(space).values() for choice in found}
    assert space.blueprint is not None
    base = space.encode([arch]).codes[0].copy()
    for choice in choices.values():
        base[space.index[choice.decision]] = choice.values.index(IDENTITY)
    codes, rows = [base], {}
    for place, choice in choices.items():
        rows[place] = {value: len(codes) + index for index, value in enumerate(choice.values)}
        for code in range(len(choice.values)):
            row = base.copy()
            row[space.index[choice.decision]] = code
            codes.append(row)
    columns = space.columns(np.array(codes))
    return lower(space.blueprint, columns, scale=scale, classes=classes), rows, choices


def _active(slot: Slot, row: int) -> bool:
    return bool(at_row(slot.active, row))
