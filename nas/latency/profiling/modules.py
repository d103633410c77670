"""What is exported and timed: one unit, or one network, as a static module at eval.

The weights are random, but those of batch norms are neither 1 nor 0 and their statistics are those of the
activations: a runtime can fold them, and no number grows too large or so small that arithmetic slows down.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from nas.blocks.base import Unit
from nas.blocks.elastic import Elastic
from nas.blocks.ops import Ops
from nas.blocks.registry import UNITS
from nas.latency.signature import parse_signature, sizes_of
from nas.space.batch import Arch
from nas.space.space import Space

_CALIBRATION_IMAGES = 2


@dataclass(frozen=True)
class Model:
    """A module at eval and an input for it: float32, batch 1."""

    module: nn.Module
    example: Tensor


class StaticUnit(nn.Module):
    """One unit whose sizes are fixed: maps `(B, C, H, W)` or tokens `(B, H·W, C)` in and out."""

    def __init__(self, kind: str, sizes: Mapping[str, int], generator: torch.Generator) -> None:
        super().__init__()
        self.sizes = dict(sizes)
        one = {key: np.array([value]) for key, value in sizes.items()}
        self.layer = Elastic(UNITS[kind], one, generator)

    def forward(self, x: Tensor, momentum: float = 0.1) -> Tensor:
        """Run the unit; `momentum` is that of batch norms in training mode."""
        out: Tensor = self.layer(x, self.sizes, Ops(self.training, momentum))
        return out


def unit_sizes(signature: str) -> tuple[str, dict[str, int]]:
    """Kind and sizes of a signature.

    Raises:
        NasError: it is not a signature of a known kind of unit.
    """
    kind, row = parse_signature(signature)
    return kind, {key: int(values[0]) for key, values in sizes_of(kind, np.array([row])).items()}


def input_shape(unit: type[Unit], sizes: Mapping[str, int], images: int = 1) -> tuple[int, ...]:
    """Shape of a unit's input in its own layout."""
    channels, h, w = sizes["cin"] if "cin" in sizes else sizes["channels"], sizes["h"], sizes["w"]
    return (images, h * w, channels) if unit.takes == "tokens" else (images, channels, h, w)


def unit_model(signature: str, seed: int = 0) -> Model:
    """The module of one unit.

    Raises:
        NasError: it is not a signature of a known kind of unit.
    """
    kind, sizes = unit_sizes(signature)
    generator = torch.Generator().manual_seed(seed)
    module = StaticUnit(kind, sizes, generator)
    return _prepared(module, input_shape(UNITS[kind], sizes), generator)


def network_model(space: Space, arch: Arch, seed: int = 0) -> Model:
    """The module of a whole network, at its deployment resolution.

    Raises:
        NasError: a space without a network behind it.
    """
    from nas.supernet.network import build

    network = build(space, arch, seed=seed)
    first = network.description[0]
    return _prepared(network, input_shape(first.unit, first.sizes), torch.Generator().manual_seed(seed))


def _prepared(module: nn.Module, shape: tuple[int, ...], generator: torch.Generator) -> Model:
    for layer in module.modules():
        if isinstance(layer, Elastic):
            _randomise(layer, generator)
    several = torch.randn(_CALIBRATION_IMAGES, *shape[1:], generator=generator)
    with torch.no_grad():
        module.train()(several, momentum=1.0)
    module.requires_grad_(False)
    return Model(module.eval(), torch.randn(shape, generator=generator))


def _randomise(layer: Elastic, generator: torch.Generator) -> None:
    """Weights that start at 1 or 0 are no sample of trained ones."""
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(0.0, 0.1, generator=generator)
            elif parameter.dim() == 1:
                parameter.uniform_(0.5, 1.5, generator=generator)
