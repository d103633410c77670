"""Networks with weights under timm's names, compared in float64."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file
from timm_beside import Timm

import nas
from nas.space.space import Space
from nas.supernet.network import Network, build
from nas.weights.files import WeightFile
from nas.weights.filling import fill, summary
from nas.weights.initial import weights_of
from nas.weights.names import entries, shapes_of
from nas.weights.reading import translated
from nas.weights.table import table_of
from nas.weights.writing import timm_state

CLOSE = 1e-6


def apart(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).abs().max() / b.abs().max())


def filled(network: Network, space: str, tensors: dict[str, torch.Tensor]) -> Network:
    """A network with timm's weights."""
    table = table_of(space, [])
    given = translated(WeightFile("timm", "", tensors), entries(table, shapes_of(network)), table, "it")
    rows = fill(weights_of(network), given)
    assert summary(rows) == f"{len(rows):,} taken"
    return network.eval()


def at_size_of(images: torch.Tensor, space: Space, preset: str) -> Network:
    """A preset's network for images of their size, which need not be that of its deployment."""
    deployed = build(space, space.presets[preset], seed=None).input.h
    return build(space, space.presets[preset], seed=0, scale=images.shape[2] / deployed)


def check_preset(
    space: str,
    preset: str,
    model: str,
    timm: Timm,
    folder: Path,
    *,
    changed: Path | None = None,
    adjust: Callable[[Network], None] | None = None,
) -> None:
    """A preset's network with a timm model's random weights answers as that does, and its weights are written back.

    Args:
        changed: the space's file with what timm has otherwise than the authors.
        adjust: changes the weights of a network for what no field of a space can say of timm's.
    """
    file = folder / "model.safetensors"
    timm.draw(model, file)
    tensors = load_file(file)
    images, expected = tensors.pop("input"), tensors.pop("output")
    loaded = nas.load_space(changed or space)
    network = filled(at_size_of(images, loaded, preset).double(), space, tensors)
    again = timm_state(network, space)
    assert again.keys() == tensors.keys()
    assert all(torch.equal(again[name].to(tensors[name].dtype), tensors[name]) for name in tensors)
    with torch.no_grad():
        if adjust is not None:
            adjust(network)
        assert apart(network(images), expected) < CLOSE
        assert apart(expected[:1], expected[1:]) > 100 * CLOSE  # the images matter to these weights
