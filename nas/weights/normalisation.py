"""Images normalised as others do it, and a first layer that answers ours as it answered theirs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nas.weights.files import MEAN_KEY, STD_KEY, WeightFile
from nas.weights.table import Table

if TYPE_CHECKING:
    from torch import Tensor

    from nas.weights.reading import State


def input_of(
    file: WeightFile, table: Table, network: str = ""
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation by channel that a file's weights expect: what it says itself, else what the family does.

    Args:
        network: whose weights they are, a preset's name perhaps.
    """
    if MEAN_KEY in file.metadata and STD_KEY in file.metadata:
        return tuple(json.loads(file.metadata[MEAN_KEY])), tuple(json.loads(file.metadata[STD_KEY]))
    normal = table.input.presets.get(network, table.input)
    return tuple(normal.mean), tuple(normal.std)


def as_theirs(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Images `(B, C, H, W)` normalised as ours are, normalised as theirs."""
    import torch

    from nas.data.batches import MEAN, STD

    wanted_mean = torch.tensor(mean, dtype=images.dtype, device=images.device)[:, None, None]
    wanted_std = torch.tensor(std, dtype=images.dtype, device=images.device)[:, None, None]
    return (images * STD + MEAN - wanted_mean) / wanted_std


def with_our_input(state: State, first: str, mean: Sequence[float], std: Sequence[float]) -> State:
    """Weights whose first convolution answers images normalised as ours as it answered theirs.

    The kernel takes the scale; the bias, or the running mean of the batch norm behind a convolution without one, the
    shift. Padding is zero in both, which stands for another gray: pixels at the border differ a little.
    """
    import torch

    from nas.data.batches import MEAN, STD

    if all(value == MEAN for value in mean) and all(value == STD for value in std):
        return state
    parts = dict(state[first])
    kernel = parts["conv_weight"].double()
    deviation = torch.tensor(std, dtype=torch.float64)
    shift = (kernel.sum((2, 3)) * ((MEAN - torch.tensor(mean, dtype=torch.float64)) / deviation)).sum(1)
    parts["conv_weight"] = (kernel * (STD / deviation)[:, None, None]).to(parts["conv_weight"].dtype)
    name, sign = ("conv_bias", 1) if "conv_bias" in parts else ("bn_mean", -1)
    parts[name] = (parts[name].double() + sign * shift).to(parts[name].dtype)
    return {**state, first: parts}
