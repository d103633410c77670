"""The supernet: one set of weights for every architecture of a space."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import prod
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nas.blocks.elastic import Elastic
from nas.blocks.ops import Ops
from nas.costs.plan import MAX_TABLE
from nas.errors import NasError
from nas.space.batch import Arch
from nas.space.choices import IDENTITY, kept_positions, needed_choices
from nas.space.space import Space
from nas.space.symbolic import Layers, Symbolic, symbolic
from nas.supernet.network import Layer, Network, Walk, layers_of, outputs_of, start
from nas.supernet.relaxed import Mixture, Relaxation, Relaxed, ranking, relaxed_layers
from nas.supernet.thinned import Thinned
from nas.supernet.trainee import Trainee

Planned = TypeVar("Planned")
CACHED_ARCHS = 4096
SWEEP_DRAWS = 4096


class Supernet(Trainee):
    """Elastic layers for every slot of a space.

    Weights are shared by their leading part in every dimension, kernels and offset tables by their centre,
    stages by their first layers; batch norms have one set of statistics (ElasticViT, §2.4 of its code).
    `forward` is handed the architecture; nothing is remembered between calls.

    Args:
        space: with a network behind it.
        num_classes: by default the deployment input's.
        resolution_scale: training resolution over deployment resolution, e.g. 0.125.
        seed: of the initial weights; None builds on the meta device.
        relaxed: with logits for relaxed architectures.

    Raises:
        NasError: a space without a network, or nothing to relax in it.
    """

    def __init__(
        self,
        space: Space,
        num_classes: int | None = None,
        *,
        resolution_scale: float = 1.0,
        seed: int | None = 0,
        relaxed: bool = False,
    ) -> None:
        super().__init__(space)
        self.num_classes, self.resolution_scale = num_classes, resolution_scale
        self.outputs = outputs_of(space)
        generator = torch.Generator().manual_seed(seed) if seed is not None else None
        modules: dict[str, Elastic] = {}
        for name, (unit, possible) in possible_sizes(space, num_classes, resolution_scale).items():
            with torch.device("meta" if generator is None else "cpu"):
                modules[_key(name)] = Elastic(unit, possible, generator)
        self.layers = nn.ModuleDict(modules)
        self.relaxation = Relaxation(needed_choices(space)) if relaxed else None
        self._lowered: OrderedDict[str, list[Layer]] = OrderedDict()
        self._relaxed: OrderedDict[str, list[Layer | Mixture]] = OrderedDict()
        self._ranks: dict[str, list[int]] = {}

    @classmethod
    def loaded(
        cls, space: Space, num_classes: int, resolution_scale: float, state: Mapping[str, Tensor]
    ) -> Supernet:
        """A finished supernet with the weights `state`, which it takes as they are and does not train."""
        relaxed = any(name.startswith("relaxation.") for name in state)
        net = cls(space, num_classes, resolution_scale=resolution_scale, seed=None, relaxed=relaxed)
        net.load_state_dict(dict(state), assign=True)
        net.requires_grad_(False)
        net.rank_positions()
        return net

    def rank_positions(self) -> None:
        """Rank positions by the trained logits: of a stage that keeps d of its positions, the d most important stay.

        The largest network is what it was. Without logits the first ones stay, as always before this is called.
        """
        found = self.relaxation.importance() if self.relaxation is not None else {}
        self._ranks = {stage: ranking(importance) for stage, importance in found.items()}

    def lower(self, arch: Arch) -> list[Layer]:
        """Layers of `arch` at the training resolution and number of classes."""
        slots = partial(self.space.lower, arch, scale=self.scale, classes=self.num_classes)
        return _remembered(self._lowered, f"{arch.id} {self.share}", lambda: layers_of(slots()))

    @property
    def full_scale(self) -> float:
        return self.resolution_scale

    @property
    def scale(self) -> float:
        """Side of the images it resizes to now, over the deployment resolution."""
        return self.resolution_scale * self.share

    def forward(self, x: Tensor, arch: Arch | Relaxed | Thinned, momentum: float = 0.1) -> Tensor:
        """Class scores `(B, classes)` of the subnet `arch` on images `(B, channels, H, W)`.

        Raises:
            NasError: a relaxed arch without logits, or blocks of one position that hand on different shapes.
        """
        ops = Ops(self.training, momentum, self._together)
        if isinstance(arch, Relaxed):
            return self._mixed(x, arch, ops)
        dropped = arch.dropped if isinstance(arch, Thinned) else frozenset()
        arch = arch.arch if isinstance(arch, Thinned) else arch
        layers = [layer for layer in self.lower(arch) if layer.place not in dropped]
        walk = start(x, layers)
        self._run(walk, layers, ops, self._places(arch))
        scores: Tensor = walk.answer(self.outputs)
        return scores

    def _run(self, walk: Walk, layers: Sequence[Layer], ops: Ops, places: Mapping[str, str]) -> Tensor:
        for layer in layers:
            walk.step(layer, self._elastic(layer, places), ops)
        return walk.x

    def _mixed(self, x: Tensor, relaxed: Relaxed, ops: Ops) -> Tensor:
        if self.relaxation is None:
            raise NasError("a relaxed architecture needs a supernet with logits: Supernet(…, relaxed=True).")
        weights = self.relaxation.weights(relaxed)
        plan = _remembered(
            self._relaxed,
            f"{relaxed.arch.id} {self.share}",
            lambda: relaxed_layers(self.space, relaxed.arch, self.scale, self.num_classes),
        )
        walk = start(x, [step if isinstance(step, Layer) else step.first for step in plan[:1]])
        for step in plan:
            if isinstance(step, Layer):
                walk.step(step, self._elastic(step, {}), ops)
            else:
                walk.x = self._mixture(walk, step, weights[step.choice.stage][step.choice.position], ops)
                walk.keep(step.keeps)
        scores: Tensor = walk.answer(self.outputs)
        return scores

    def _mixture(self, walk: Walk, mixture: Mixture, weights: Tensor, ops: Ops) -> Tensor:
        found = [self._run(walk.branch(), layers, ops, {}) for layers in mixture.options]
        if len({y.shape for y in found}) > 1:
            raise NasError(
                f"{mixture.choice.decision}: its blocks hand on different shapes, so they cannot be mixed. Give the "
                "stage a 'downsample', which takes its stride and width."
            )
        total = found[0] * weights[0]
        for y, weight in zip(found[1:], weights[1:]):
            total = total + y * weight
        return total

    def _places(self, arch: Arch) -> dict[str, str]:
        """Where the positions of `arch` take their weights, if not where they stand, by place."""
        found = {}
        for stage, ranks in self._ranks.items():
            names = [choice.decision for choice in self.relaxation.choices[stage]] if self.relaxation else []
            depth = sum(arch.values.get(name, IDENTITY) != IDENTITY for name in names)
            for position, kept in enumerate(kept_positions(ranks, depth)):
                found[f"{stage}.{position}"] = f"{stage}.{kept}"
        return found

    def extract(self, arch: Arch) -> Network:
        """A static model of `arch` with copies of its weights; its output equals the supernet's.

        Raises:
            NasError: the arch lies outside the space, so that the supernet has no weights for it.
        """
        if not self.space.contains(arch):
            raise NasError(
                f"arch {arch.id} lies outside space {self.space.name!r}; the supernet holds no weights for it."
            )
        layers, places = self.lower(arch), self._places(arch)
        static = [self._elastic(layer, places).extract(layer.sizes) for layer in layers]
        network = Network(layers, static, self.outputs, self.scale)
        return network.train(self.training)

    def _elastic(self, layer: Layer, places: Mapping[str, str]) -> Elastic:
        module = self.layers[_key(f"{places.get(layer.place, layer.place)}.{layer.role}")]
        assert isinstance(module, Elastic)
        return module


def _remembered(known: OrderedDict[str, Planned], name: str, plan: Callable[[], Planned]) -> Planned:
    """Kept by name, the oldest given up."""
    if name not in known:
        known[name] = plan()
        if len(known) > CACHED_ARCHS:
            known.popitem(last=False)
    return known[name]


def _key(name: str) -> str:
    return name.replace(".", "_")


def possible_sizes(
    space: Space, classes: int | None, scale: float
) -> dict[str, tuple[Any, Mapping[str, NDArray[Any]]]]:
    """Every size each slot may take: kind and arrays `(m,)` by slot name.

    All combinations of the decisions a slot depends on that the rules over them allow where these are at most 10⁶, else
    uniform draws and one sweep of each decision.
    """
    if space.blueprint is None:
        raise NasError(f"space {space.name!r} has no network behind it; there is no supernet to train.")
    lowered = symbolic(space, scale=scale, classes=classes)
    alike: dict[tuple[int, ...], list[int]] = {}
    for index, deps in enumerate(lowered.dependent):
        alike.setdefault(deps, []).append(index)
    layers: dict[int, Layers] = {}
    for deps, indices in alike.items():
        layers.update(zip(indices, _layers(space, lowered, deps, indices)))
    possible: dict[str, tuple[Any, Mapping[str, NDArray[Any]]]] = {}
    for index, slot in enumerate(lowered.slots):
        active = layers[index].active
        sizes = {key: layers[index].sizes[key][active] for key in slot.unit.keys}
        if active.any():
            possible[slot.name] = (slot.unit, _joined(possible.get(slot.name), sizes))
    return possible


def _layers(space: Space, lowered: Symbolic, deps: tuple[int, ...], indices: Sequence[int]) -> list[Layers]:
    """Values of the slots `indices`, which depend on `deps`: of all combinations, or of draws."""
    shape = [len(space.decisions[d]) for d in deps]
    if prod(shape) <= MAX_TABLE:
        every = np.indices(shape).reshape(len(deps), prod(shape))
        return lowered.at(deps, every[:, _allowed(space, deps, every)], indices)
    draws = space.sample(SWEEP_DRAWS, seed=0).codes
    top = np.array([[len(d) - 1 for d in space.decisions]], dtype=np.int16)
    codes = np.concatenate([draws, top, np.zeros_like(top)])
    return lowered.at(deps, codes[:, list(deps)].T, indices)


def _allowed(space: Space, deps: tuple[int, ...], codes: NDArray[Any]) -> NDArray[np.bool_]:
    """Which combinations of `deps`, `(len(deps), n)`, break no rule over these alone: the others need no weights."""
    allowed = np.ones(codes.shape[1], dtype=bool)
    place = {decision: row for row, decision in enumerate(deps)}
    for part in (part for rule in space.rules for part in rule.expression.conjuncts()):
        scope = space.reads(part)
        if set(scope) <= set(deps):
            allowed &= space.truth(part, scope)[tuple(codes[place[decision]] for decision in scope)]
    return allowed


def _joined(
    known: tuple[Any, Mapping[str, NDArray[Any]]] | None, sizes: dict[str, NDArray[Any]]
) -> dict[str, NDArray[Any]]:
    """Sizes of one unit that two blocks of a choice have in common, as the feed-forward of `attention_ffn`."""
    return sizes if known is None else {key: np.concatenate([known[1][key], sizes[key]]) for key in sizes}
