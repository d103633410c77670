"""What is exported and timed: one unit, or one network, as a static module.

It has its deployed form, or for a training step its trained one. The weights are random. Batch norms are folded with
statistics of their activations, so that no number grows too large, or so small that arithmetic slows down.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import numpy as np
import torch
from torch import Tensor, nn

from nas.blocks.base import Unit
from nas.blocks.elastic import Elastic
from nas.blocks.ops import Ops
from nas.blocks.registry import UNITS
from nas.latency.profiling.runtimes.base import Runtime
from nas.latency.signature import parse_signature, sizes_of
from nas.space.batch import Arch
from nas.space.space import Space
from nas.supernet.deploy import deployed
from nas.supernet.network import build

_CALIBRATION_IMAGES = 2


@dataclass(frozen=True)
class Model:
    """A module and an input for it: float32.

    At eval and deployed; or, for training steps, in training mode with weights that want gradients.
    """

    module: nn.Module
    example: Tensor


class StaticUnit(nn.Module):
    """One unit whose sizes are fixed.

    Args:
        layer: takes its input (or a list of them), sizes and tensor operations.
        sizes: of the unit.
    """

    def __init__(self, layer: Elastic, sizes: Mapping[str, int]) -> None:
        super().__init__()
        self.layer, self.sizes = layer, dict(sizes)

    def forward(self, x: Tensor, momentum: float = 0.1) -> Tensor:
        """Run the unit; `momentum` is that of batch norms in training mode."""
        unit = self.layer.unit
        given: Tensor | list[Tensor] = x
        if unit.joins:
            shapes = [inp.shape for inp in unit.inputs(self.sizes)]
            parts = x.split([prod(shape) for shape in shapes], dim=1)
            given = [part.reshape(x.shape[0], *shape) for part, shape in zip(parts, shapes)]
        out: Tensor = self.layer(given, self.sizes, Ops(self.training, momentum))
        return out


def unit_sizes(signature: str) -> tuple[str, dict[str, int]]:
    """Kind and sizes of a signature.

    Raises:
        NasError: it is not a signature of a known kind of unit.
    """
    kind, row = parse_signature(signature)
    return kind, {key: int(values[0]) for key, values in sizes_of(kind, np.array([row])).items()}


def input_shape(unit: type[Unit], sizes: Mapping[str, int]) -> tuple[int, ...]:
    """Shape of a unit's input in its layout; of several inputs the elements of all, which it takes as one row."""
    inputs = unit.inputs(sizes)
    return (1, *(inputs[0].shape if not unit.joins else (sum(inp.elements for inp in inputs),)))


def unit_model(signature: str, seed: int = 0, runtime: type[Runtime] = Runtime) -> Model:
    """The module of one unit; in a training step its input wants a gradient, as the layer before would.

    Args:
        runtime: that runs it: how many images at once, and whether it trains; by default one image is classified.

    Raises:
        NasError: it is not a signature of a known kind of unit.
    """
    kind, sizes = unit_sizes(signature)
    generator = torch.Generator().manual_seed(seed)
    one = {key: np.array([value]) for key, value in sizes.items()}
    layer, shape = Elastic(UNITS[kind], one, generator), input_shape(UNITS[kind], sizes)
    _calibrate(StaticUnit(layer, sizes), shape, generator)
    if not runtime.trains:
        return _model(StaticUnit(layer.deployed(sizes), sizes), shape, generator, runtime)
    model = _model(StaticUnit(layer, sizes), shape, generator, runtime)
    model.example.requires_grad_()
    return model


def network_model(space: Space, arch: Arch, seed: int = 0, runtime: type[Runtime] = Runtime) -> Model:
    """The module of a whole network, at its deployment resolution.

    Args:
        runtime: as of `unit_model`.

    Raises:
        NasError: a space without a network behind it.
    """
    network, generator = build(space, arch, seed=seed), torch.Generator().manual_seed(seed)
    shape = (1, *network.input.shape)
    _calibrate(network, shape, generator)
    return _model(network if runtime.trains else deployed(network), shape, generator, runtime)


def _model(
    module: nn.Module, shape: tuple[int, ...], generator: torch.Generator, runtime: type[Runtime]
) -> Model:
    example = torch.randn((runtime.batch, *shape[1:]), generator=generator)
    return Model(module.train(runtime.trains).requires_grad_(runtime.trains), example)


def _calibrate(module: nn.Module, shape: tuple[int, ...], generator: torch.Generator) -> None:
    """Random weights where training starts at 0 or 1, and statistics of batch norms from random inputs."""
    for layer in module.modules():
        if isinstance(layer, Elastic):
            _randomise(layer, generator)
    several = torch.randn(_CALIBRATION_IMAGES, *shape[1:], generator=generator)
    with torch.no_grad():
        module.train()(several, momentum=1.0)


def _randomise(layer: Elastic, generator: torch.Generator) -> None:
    """Weights that start at 1 or 0 are no sample of trained ones."""
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(0.0, 0.1, generator=generator)
            elif parameter.dim() == 1:
                parameter.uniform_(0.5, 1.5, generator=generator)
            elif not parameter.any():
                parameter.normal_(0.0, parameter[0].numel() ** -0.5, generator=generator)
