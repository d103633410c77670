"""Static networks: the layers one arch lowers to, as a `torch.nn.Module`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas.blocks.base import Unit
from nas.blocks.elastic import Elastic
from nas.blocks.ops import Ops
from nas.space.batch import Arch
from nas.space.lowering import Slot
from nas.space.space import Space


@dataclass(frozen=True)
class Layer:
    """One layer of one network: its slot's name, kind and integer sizes."""

    name: str
    unit: type[Unit]
    sizes: dict[str, int]


def layers_of(slots: Sequence[Slot]) -> list[Layer]:
    """The active slots of one lowered arch."""
    return [
        Layer(slot.name, slot.unit, {key: int(value) for key, value in slot.sizes.items()})
        for slot in slots
        if slot.active
    ]


class Network(nn.Module):
    """The network of one arch.

    Input `(B, channels, H, W)` images, resized to the arch's resolution where they differ; output class
    scores `(B, classes)`.
    """

    def __init__(self, layers: Sequence[Layer], modules: Sequence[nn.Module]) -> None:
        super().__init__()
        self.description = tuple(layers)
        self.layers = nn.ModuleList(modules)

    @property
    def resolution(self) -> int:
        """Side of the input in pixels."""
        return self.description[0].sizes["h"]

    def forward(self, x: Tensor, momentum: float = 0.1) -> Tensor:
        """Class scores; `momentum` is that of batch norms in training mode."""
        return self.run(x, Ops(self.training, momentum))

    def run(self, x: Tensor, ops: Ops) -> Tensor:
        """Class scores by given tensor operations."""
        x = to_resolution(x, self.resolution)
        for layer, module in zip(self.description, self.layers):
            x = module(x, layer.sizes, ops)
        return x


def to_resolution(x: Tensor, side: int) -> Tensor:
    """Images resized bicubically to `side`; images of that size are passed on as they are."""
    if x.shape[-1] == side and x.shape[-2] == side:
        return x
    return F.interpolate(x, size=(side, side), mode="bicubic", align_corners=False, antialias=True)


def build(
    space: Space, arch: Arch, *, num_classes: int | None = None, seed: int | None = 0, scale: float = 1.0
) -> Network:
    """A freshly initialised network.

    Args:
        num_classes: by default the deployment input's.
        seed: of the initial weights; None builds on the meta device, without memory.
        scale: training resolution over deployment resolution.
    """
    layers = layers_of(space.lower(arch, scale=scale, classes=num_classes))
    modules = []
    generator = torch.Generator().manual_seed(seed) if seed is not None else None
    for layer in layers:
        sizes = {key: np.array([value]) for key, value in layer.sizes.items()}
        with torch.device("meta" if generator is None else "cpu"):
            modules.append(Elastic(layer.unit, sizes, generator))
    return Network(layers, modules)
