"""How much pixels attend to the carriers of their window, by which alone they hear of other windows."""

from __future__ import annotations

import torch
from recording import Recording

from nas.pipeline.load_data import LoadedData
from nas.supernet.network import Network

IMAGES = 100


def heard(network: Network, data: LoadedData) -> float:
    """Share of the pixels' attention that goes to carriers, a mean over images, blocks and heads; 0 without any."""
    carried = [layer.sizes for layer in network.description if layer.unit.kind == "windowed_attention"]
    carriers, pixels = carried[0]["carriers"] ** 2, carried[0]["window"] ** 2
    if not carriers:
        return 0.0
    ops = Recording()
    with torch.no_grad():
        network.run(next(iter(data.evaluation("test", IMAGES, IMAGES)))[0], ops)
    maps = [each for each in ops.maps if each.shape[-1] == carriers + pixels]
    return float(torch.stack([each[:, carriers:, :carriers].sum(-1).mean() for each in maps]).mean())
