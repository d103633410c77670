"""The deployed form of a network: batch norms and layer scales multiplied into the projections before them.

What folds is each unit's own statement (`Unit.folds`, `Unit.folded`); the layers then run the same `forward` with
fewer weights, as the tensor operations pass over norms and scales that are not there.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from nas.blocks.base import Unit
from nas.blocks.ops import Ops
from nas.supernet.network import Network


class Folded(nn.Module):
    """One layer with the weights of its deployed form; for inference only.

    Args:
        unit: the kind of layer.
        parts: its weights by name, not copied.
    """

    def __init__(self, unit: type[Unit], parts: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.unit = unit
        for name, part in parts.items():
            self.register_parameter(name, nn.Parameter(part, requires_grad=False))

    def forward(self, x: Tensor, sizes: Mapping[str, int], ops: Ops) -> Tensor:
        """Run at `sizes`, those of the layer that was folded."""
        return self.unit.forward(x, self._parameters, sizes, ops)


def deployed(network: Network) -> Network:
    """A network that computes at eval what `network` computes at eval, without batch norms.

    Layer scales behind a projection are folded as well (that of a pool mixer has none before it and stays), and two
    averaged classifiers become one. `network` is left as it is; weights are copied, in its precision.
    """
    layers = []
    with torch.no_grad():
        for layer, module in zip(network.description, network.layers, strict=True):
            whole = {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}
            layers.append(Folded(layer.unit, layer.unit.folded(whole)))
    return Network(network.description, layers).eval()
