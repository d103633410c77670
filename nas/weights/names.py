"""Our weights of a network beside theirs: names, forms and shapes, by a family's table."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nas.errors import NasError
from nas.weights.forms import FORMS, Form, Shape
from nas.weights.table import LayerRule, Table, WeightRule

if TYPE_CHECKING:
    from torch import Tensor, nn

    from nas.supernet.network import Network

ENDS = {"weight": "weight", "bias": "bias", "mean": "running_mean", "var": "running_var"}


@dataclass(frozen=True)
class LayerShapes:
    """A layer's name, `S1.0.mb4d`, and the shapes of its weights by name."""

    name: str
    shapes: Mapping[str, Shape]

    @property
    def kind(self) -> str:
        """Kind of layer."""
        return self.name.rpartition(".")[2]

    @property
    def stage(self) -> str:
        """Name of its stage."""
        return self.name.partition(".")[0]


@dataclass(frozen=True)
class Entry:
    """One weight of theirs and the weights of ours in it.

    Attributes:
        theirs, shape: its name and shape.
        layer, ours, shapes: our layer, and names and shapes of the weights.
        classifier: whether it fits one number of classes alone.
    """

    theirs: str
    shape: Shape
    form: Form
    layer: str
    ours: tuple[str, ...]
    shapes: tuple[Shape, ...]
    classifier: bool


def shapes_of(network: Network) -> list[LayerShapes]:
    """Layers of a network and the shapes of their weights."""
    pairs = zip(network.description, network.layers, strict=True)
    return [LayerShapes(layer.name, module_shapes(module)) for layer, module in pairs]


def module_shapes(module: nn.Module) -> dict[str, Shape]:
    """Shapes of a module's own weights and statistics by name."""
    return {name: tuple(tensor.shape) for name, tensor in state(module).items()}


def state(module: nn.Module) -> dict[str, Tensor]:
    """A module's own weights and statistics by name; not copied."""
    own: Iterable[tuple[str, Tensor | None]] = [*module._parameters.items(), *module._buffers.items()]
    return {name: tensor for name, tensor in own if tensor is not None}


def entries(table: Table, layers: Sequence[LayerShapes]) -> list[Entry]:
    """Every weight of a network under their names.

    Raises:
        NasError: the network has a layer, or a layer a weight, that theirs have not.
    """
    wanted: list[Entry] = []
    for layer, number in _numbered(table, layers):
        if not layer.shapes:
            continue
        rule = table.rule(layer.name)
        if rule is None:
            raise NasError(f"layer {layer.name}: the table of names ({table.source}) knows no such layer.")
        wanted += _of_layer(table, layer, rule, _at(rule, layer, number))
    return wanted


def _numbered(table: Table, layers: Sequence[LayerShapes]) -> list[tuple[LayerShapes, int]]:
    """Layers and their number; those that do not count have that of the one before them."""
    numbered, number, stage = [], -1, ""
    kinds, within = (table.numbered.kinds, table.numbered.within) if table.numbered else ([], "stage")
    for layer in layers:
        if within == "stage" and layer.stage != stage:
            number, stage = -1, layer.stage
        number += layer.kind in kinds
        numbered.append((layer, number))
    return numbered


def _at(rule: LayerRule, layer: LayerShapes, number: int) -> str:
    digits = re.search(r"\d+$", layer.stage)
    stage = int(digits[0]) - 1 if digits else 0
    position = rule.first + int(layer.name.split(".")[-2])
    places = {"position": position, "next": position + 1, "even": 2 * position, "odd": 2 * position + 1}
    return rule.at.format(stage=stage, number=number, **places)


def _of_layer(table: Table, layer: LayerShapes, rule: LayerRule, at: str) -> list[Entry]:
    wanted: list[Entry] = []
    for key, value in rule.weights.items():
        given = WeightRule(name=value) if isinstance(value, str) else value
        for ours, end in _matching(key, layer):
            theirs = ".".join(part for part in (at, given.name, end) if part)
            shapes = tuple(layer.shapes[name] for name in ours)
            form = FORMS[given.form]
            wanted.append(
                Entry(theirs, _joined(form, shapes), form, layer.name, ours, shapes, table.classifies(theirs))
            )
    missing = layer.shapes.keys() - {name for entry in wanted for name in entry.ours}
    if missing:
        raise NasError(
            f"layer {layer.name}: the table of names ({table.source}) has no weight {min(missing)!r} there."
        )
    return wanted


def _matching(key: str, layer: LayerShapes) -> list[tuple[tuple[str, ...], str]]:
    """Our names that a rule's key stands for, and what theirs end in; none where the layer has no such weight."""
    if key in layer.shapes:
        return [((key,), "")]
    parts = key.split("+")
    named = [(tuple(f"{part}_{end}" for part in parts), theirs) for end, theirs in ENDS.items()]
    return [(ours, theirs) for ours, theirs in named if all(name in layer.shapes for name in ours)]


def _joined(form: Form, shapes: Sequence[Shape]) -> Shape:
    import torch

    return tuple(form.join([torch.empty(shape, device="meta") for shape in shapes]).shape)
