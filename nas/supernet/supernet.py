"""The supernet: one set of weights for every architecture of a space."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import partial
from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nas.blocks.elastic import Elastic
from nas.blocks.ops import Ops
from nas.costs.plan import MAX_TABLE, slot_dependencies
from nas.errors import NasError
from nas.space.batch import Arch
from nas.space.lowering import lower
from nas.space.space import Space
from nas.supernet.network import Layer, Network, layers_of, to_resolution
from nas.supernet.parallel import Group, batch_norm

CACHED_ARCHS = 4096
SWEEP_DRAWS = 4096


class Supernet(nn.Module):
    """Elastic layers for every slot of a space.

    Weights are shared by their leading part in every dimension, kernels and offset tables by their centre,
    stages by their first layers; batch norms have one set of statistics (ElasticViT, §2.4 of its code).
    `forward` is handed the architecture; nothing is remembered between calls.

    Args:
        space: with a network behind it.
        num_classes: by default the deployment input's.
        resolution_scale: training resolution over deployment resolution, e.g. 0.125.
        seed: of the initial weights; None builds on the meta device.

    Attributes:
        group: the processes that train it together; batch norms use the batches of all of them.
    """

    def __init__(
        self,
        space: Space,
        num_classes: int | None = None,
        *,
        resolution_scale: float = 1.0,
        seed: int | None = 0,
    ) -> None:
        super().__init__()
        self.space, self.num_classes, self.resolution_scale = space, num_classes, resolution_scale
        generator = torch.Generator().manual_seed(seed) if seed is not None else None
        modules: dict[str, Elastic] = {}
        for name, (unit, possible) in possible_sizes(space, num_classes, resolution_scale).items():
            with torch.device("meta" if generator is None else "cpu"):
                modules[_key(name)] = Elastic(unit, possible, generator)
        self.layers = nn.ModuleDict(modules)
        self._lowered: OrderedDict[str, list[Layer]] = OrderedDict()
        self.group = Group()

    def lower(self, arch: Arch) -> list[Layer]:
        """Layers of `arch` at the training resolution and number of classes."""
        known = self._lowered.get(arch.id)
        if known is None:
            slots = self.space.lower(arch, scale=self.resolution_scale, classes=self.num_classes)
            known = self._lowered[arch.id] = layers_of(slots)
            if len(self._lowered) > CACHED_ARCHS:
                self._lowered.popitem(last=False)
        return known

    def forward(self, x: Tensor, arch: Arch, momentum: float = 0.1) -> Tensor:
        """Class scores `(B, classes)` of the subnet `arch` on images `(B, channels, H, W)`."""
        layers = self.lower(arch)
        x = to_resolution(x, layers[0].sizes["h"])
        ops = Ops(self.training, momentum, self._together)
        for layer in layers:
            x = self.layers[_key(layer.name)](x, layer.sizes, ops)
        return x

    @property
    def _together(self) -> Callable[..., Tensor] | None:
        return None if self.group.size == 1 else partial(batch_norm, group=self.group)

    def extract(self, arch: Arch) -> Network:
        """A static model of `arch` with copies of its weights; its output equals the supernet's.

        Raises:
            NasError: the arch lies outside the space, so that the supernet has no weights for it.
        """
        if not self.space.contains(arch):
            raise NasError(
                f"arch {arch.id} lies outside space {self.space.name!r}; the supernet holds no weights for it."
            )
        layers = self.lower(arch)
        static = [self._elastic(layer).extract(layer.sizes) for layer in layers]
        network = Network(layers, static)
        return network.train(self.training)

    def _elastic(self, layer: Layer) -> Elastic:
        module = self.layers[_key(layer.name)]
        assert isinstance(module, Elastic)
        return module


def _key(name: str) -> str:
    return name.replace(".", "_")


def possible_sizes(
    space: Space, classes: int | None, scale: float
) -> dict[str, tuple[Any, Mapping[str, NDArray[Any]]]]:
    """Every size each slot may take: kind and arrays `(m,)` by slot name.

    All combinations of the decisions a slot depends on where these are at most 10⁶, else uniform draws and
    one sweep of each decision.
    """
    found: dict[str, tuple[Any, Mapping[str, NDArray[Any]]]] = {}
    if space.blueprint is None:
        raise NasError(f"space {space.name!r} has no network behind it; there is no supernet to train.")
    rows: dict[tuple[int, ...], Any] = {}
    for index, deps in enumerate(slot_dependencies(space)):
        if deps not in rows:
            codes = _combinations(space, deps)
            rows[deps] = (
                len(codes),
                lower(space.blueprint, space.columns(codes), scale=scale, classes=classes),
            )
        n, slots = rows[deps]
        slot = slots[index]
        active = np.broadcast_to(np.asarray(slot.active, dtype=bool), (n,))
        sizes = {key: np.broadcast_to(np.asarray(value), (n,))[active] for key, value in slot.sizes.items()}
        if active.any():
            found[slot.name] = (slot.unit, _joined(found.get(slot.name), sizes))
    return found


def _joined(
    known: tuple[Any, Mapping[str, NDArray[Any]]] | None, sizes: dict[str, NDArray[Any]]
) -> dict[str, NDArray[Any]]:
    """Sizes of one unit that two blocks of a choice have in common, as the feed-forward of `attention_ffn`."""
    return sizes if known is None else {key: np.concatenate([known[1][key], sizes[key]]) for key in sizes}


def _combinations(space: Space, deps: tuple[int, ...]) -> NDArray[np.int16]:
    shape = tuple(len(space.decisions[d]) for d in deps)
    base = space.sample(1, seed=0).codes
    if prod(shape) > MAX_TABLE:
        draws = space.sample(SWEEP_DRAWS, seed=0).codes.copy()
        top = np.array([[len(d) - 1 for d in space.decisions]], dtype=np.int16)
        return np.concatenate([draws, top, np.zeros_like(top)])
    codes = np.repeat(base, prod(shape), axis=0)
    for decision, axis in zip(deps, np.indices(shape, dtype=np.int16)):
        codes[:, decision] = axis.ravel()
    return codes
