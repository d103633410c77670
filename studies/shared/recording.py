"""What the heads of a network attend to: every attention map of a pass, in order."""

from __future__ import annotations

from torch import Tensor

from nas.blocks.ops import Ops


class Recording(Ops):
    """The usual operations, which write down what every softmax gives.

    Attributes:
        maps: `(rows, queries, keys)` of each softmax, in the order of the network.
    """

    def __init__(self) -> None:
        super().__init__()
        self.maps: list[Tensor] = []

    def softmax(self, x: Tensor) -> Tensor:
        weights = super().softmax(x)
        self.maps.append(weights)
        return weights
