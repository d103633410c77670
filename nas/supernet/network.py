"""Static networks: the layers one arch lowers to, as a `torch.nn.Module`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas.blocks.base import Unit
from nas.blocks.elastic import Elastic
from nas.blocks.layouts import Interface
from nas.blocks.ops import Ops
from nas.errors import NasError
from nas.space.batch import Arch
from nas.space.lowering import INPUT, Slot
from nas.space.space import Space


@dataclass(frozen=True)
class Layer:
    """One layer of one network.

    Attributes:
        name, unit: its slot's name and kind.
        sizes: its integer sizes.
        inputs, out: what it is handed and hands on.
        reads, keeps: kept streams it takes instead of what the layer before hands on, and keeps; see `Slot`.
    """

    name: str
    unit: type[Unit]
    sizes: dict[str, int]
    inputs: tuple[Interface, ...]
    out: Interface
    reads: tuple[str, ...] = ()
    keeps: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """What the names of all layers of its position begin with."""
        return self.name.rpartition(".")[0]

    @property
    def role(self) -> str:
        """Its role in its position."""
        return self.name.rpartition(".")[2]


def layers_of(slots: Sequence[Slot]) -> list[Layer]:
    """The active slots of one lowered arch.

    Raises:
        NasError: a stream is kept before there is any layer.
    """
    layers: list[Layer] = []
    for slot in slots:
        if slot.active:
            layers.append(layer_of(slot))
        elif slot.keeps:
            if not layers:
                raise NasError(
                    f"stage {slot.stage!r} keeps {slot.keeps[0]!r}, which is the input; read 'input'."
                )
            layers[-1] = replace(layers[-1], keeps=(*layers[-1].keeps, *slot.keeps))
    return layers


def layer_of(slot: Slot, row: int | None = None) -> Layer:
    """The layer of a slot, of one row of a batch where sizes are arrays."""
    sizes = {key: int(at_row(value, row)) for key, value in slot.sizes.items()}
    inputs = tuple(interface_at(inp, row) for inp in slot.inputs)
    return Layer(slot.name, slot.unit, sizes, inputs, interface_at(slot.out, row), slot.reads, slot.keeps)


def at_row(value: Any, row: int | None) -> Any:
    """One row of a size or truth value of a batch; single values are every row's."""
    flat = np.asarray(value)
    return flat[row] if row is not None and flat.ndim else flat.item()


def interface_at(interface: Interface, row: int | None) -> Interface:
    """One row of an interface of a batch."""
    channels, h, w = (int(at_row(v, row)) for v in (interface.channels, interface.h, interface.w))
    extras = {name: int(at_row(value, row)) for name, value in interface.extras.items()}
    return Interface(interface.layout, channels, h, w, extras)


@dataclass
class Walk:
    """A pass through a network: the current tensor, and those kept for later layers.

    Whoever runs layers runs them through this: supernets, static networks, mixtures, probes, maps of stages.
    """

    x: Tensor
    kept: dict[str, Tensor] = field(default_factory=dict)

    def step(self, layer: Layer, module: Callable[..., Tensor], ops: Ops) -> Tensor:
        """Run one layer, and keep what it keeps."""
        inputs = [self.kept[name] for name in layer.reads] or [self.x]
        self.x = module(inputs if layer.unit.joins else inputs[0], layer.sizes, ops)
        return self.keep(layer.keeps)

    def keep(self, names: Sequence[str]) -> Tensor:
        """Keep the current tensor under `names`."""
        for name in names:
            self.kept[name] = self.x
        return self.x

    def branch(self) -> Walk:
        """The same state, from which to go another way."""
        return Walk(self.x, dict(self.kept))

    def answer(self, outputs: Sequence[str]) -> Any:
        """What the network hands back: the current tensor, the named stream, or several by name."""
        if len(outputs) == 1:
            return self.kept[outputs[0]]
        return {name: self.kept[name] for name in outputs} if outputs else self.x


def start(images: Tensor, layers: Sequence[Layer]) -> Walk:
    """A walk at the first of `layers`, the images resized to what it takes."""
    first = layers[0].inputs[0]
    x = to_resolution(images, (first.h, first.w))
    return Walk(x, {INPUT: x})


class Network(nn.Module):
    """The network of one arch.

    Input `(B, channels, H, W)` images, resized to the arch's resolution where they differ; output class
    scores `(B, classes)`, or a dictionary of the streams where its space names several as outputs.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        modules: Sequence[nn.Module],
        outputs: Sequence[str] = (),
        scale: float = 1.0,
    ) -> None:
        super().__init__()
        self.scale = scale
        self.description, self.outputs = tuple(layers), tuple(outputs)
        self.layers = nn.ModuleList(modules)

    @property
    def input(self) -> Interface:
        """The images it takes."""
        return self.description[0].inputs[0]

    @property
    def resolution(self) -> int:
        """Height of the input in pixels."""
        return int(self.input.h)

    def forward(self, x: Tensor, momentum: float = 0.1) -> Tensor:
        """Class scores; `momentum` is that of batch norms in training mode."""
        return self.run(x, Ops(self.training, momentum))

    def run(self, x: Tensor, ops: Ops, layers: Sequence[Layer] | None = None) -> Tensor:
        """Class scores by given tensor operations.

        Args:
            layers: its layers for images of another size; by default those it was built for.
        """
        layers = self.description if layers is None else layers
        walk = start(x, layers)
        for layer, module in zip(layers, self.layers, strict=True):
            walk.step(layer, module, ops)
        scores: Tensor = walk.answer(self.outputs)
        return scores


def to_resolution(x: Tensor, side: int | tuple[int, int]) -> Tensor:
    """Images resized bicubically to a side or `(h, w)`; images of that size are passed on as they are."""
    size = (side, side) if isinstance(side, int) else side
    if tuple(x.shape[-2:]) == size:
        return x
    return F.interpolate(x, size=size, mode="bicubic", align_corners=False, antialias=True)


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
    return Network(layers, modules, outputs_of(space), scale)


def outputs_of(space: Space) -> tuple[str, ...]:
    """The streams that a space names as outputs."""
    return space.blueprint.outputs if space.blueprint else ()
