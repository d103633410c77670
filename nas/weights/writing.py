"""A network's weights under timm's names, as a safetensors file that its own model function loads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nas.files import write_atomically
from nas.weights.files import MEAN_KEY, STD_KEY
from nas.weights.names import LayerShapes, entries, shapes_of
from nas.weights.recognising import INPUT_KEY
from nas.weights.table import Table, table_of
from nas.weights.timm_models import TimmModel, timm_model

if TYPE_CHECKING:
    from torch import Tensor

    from nas.supernet.network import Network

CHANNELS = 3


@dataclass(frozen=True)
class Written:
    """A file under timm's names, and the call of timm's that builds its network."""

    file: Path
    model: TimmModel


def timm_state(network: Network, space: str) -> dict[str, Tensor]:
    """A network's weights under timm's names: every one that timm's model has.

    Raises:
        NasError: no table of names for the space.
    """
    import torch

    from nas.weights.initial import weights_of

    layers = shapes_of(network)
    table = table_of(space, [layer.name for layer in layers if layer.shapes])
    ours = weights_of(network)
    state: dict[str, Tensor] = {}
    for entry in entries(table, layers):
        parts = [ours[entry.layer][name].detach().cpu() for name in entry.ours]
        state[entry.theirs] = entry.form.join(parts).clone().contiguous()
        if entry.theirs.endswith(".running_mean"):  # a counter, which nothing here reads or needs
            state[entry.theirs.removesuffix("mean").removesuffix("running_") + "num_batches_tracked"] = (
                torch.zeros((), dtype=torch.int64)
            )
    return {**state, **_indices(table, layers)}


def _indices(table: Table, layers: list[LayerShapes]) -> dict[str, Tensor]:
    """Positions in tables of offsets, which some of theirs keep beside the tables."""
    from nas.blocks.ops import distance_index

    if not table.indices:
        return {}
    positions_by_name = {}
    for entry in entries(table, layers):
        for name, index in table.indices.items():
            if entry.theirs.endswith(name):
                import torch

                _, h, w = entry.shapes[0]
                positions = distance_index(h, w, 1, torch.device("cpu")).reshape(h * w, h * w)
                positions_by_name[entry.theirs.removesuffix(name) + index] = positions.clone()
    return positions_by_name


def write_timm(network: Network, space: str, arch: Mapping[str, object], file: Path) -> Written:
    """Write a network under timm's names; the file says of which architecture it is and how images are normalised.

    Args:
        space: name of its space.
        arch: its decisions.

    Raises:
        NasError: timm's code cannot hold the network, or the file cannot be written.
    """
    from safetensors.torch import save

    from nas.data.batches import MEAN, STD

    model = timm_model(network, space)
    metadata = {
        "format": "pt",
        "nas.space": space,
        "nas.arch": json.dumps(dict(arch)),
        MEAN_KEY: json.dumps([MEAN] * CHANNELS),
        STD_KEY: json.dumps([STD] * CHANNELS),
        INPUT_KEY: json.dumps([network.input.h, network.input.w]),
        "timm.model": model.function,
        "timm.arguments": json.dumps(model.arguments),
    }
    write_atomically(file, save(timm_state(network, space), metadata))
    return Written(file, model)
