"""The deployed form of a network: norms and scales multiplied into projections, branches made one, tables read.

What becomes of what is each operation's own statement (`nas.blocks.operations`).
"""

from __future__ import annotations

from nas.blocks.elastic import Elastic
from nas.supernet.network import Network


def deployed(network: Network) -> Network:
    """A network that computes at eval what `network` computes at eval, without batch norms.

    Layer scales behind a projection are folded as well (that of a pool mixer has none before it and stays), and two
    averaged classifiers become one. `network` is left as it is; weights are copied, in its precision.
    """
    layers = []
    for layer, module in zip(network.description, network.layers, strict=True):
        assert isinstance(module, Elastic)
        layers.append(module.deployed(layer.sizes))
    return Network(network.description, layers, network.outputs, network.scale).eval()
