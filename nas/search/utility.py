"""Universal performance functions: what one number a network is worth.

`netscore` is NetScore (Wong 2018, arXiv 1806.05512): `20 · log10(a^α / (p^β · m^γ))`, a being the accuracy in percent,
p the parameters in millions and m the MACs in billions; α = 2, β = γ = 0.5. `product` is the weighted product of
MnasNet (Tan et al. 2019, arXiv 1807.11626): `a · (cost / target)^weight`, there with weight -0.07. `accuracy` is
accuracy alone, `objective` the first objective of the study, whatever it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas.errors import NasError, unknown

Floats = NDArray[np.float64]
Costs = Mapping[str, NDArray[np.float64]]
UTILITIES = ("netscore", "product", "accuracy", "objective")
ALPHA, BETA, GAMMA = 2.0, 0.5, 0.5
LEAST = 1e-4  # accuracy that the logarithm of none at all is taken of
WORDS = {
    "netscore": "NetScore: accuracy against parameters and MACs",
    "product": "a weighted product of accuracy and one cost",
    "accuracy": "accuracy alone",
    "objective": "the first objective alone",
}
"""What each function weighs, for people."""


@dataclass(frozen=True)
class Utility:
    """A performance function of accuracy and costs; larger is better.

    Attributes:
        name: of `UTILITIES`.
        cost, target, weight: of the weighted product; the target in the cost's stored unit.

    Raises:
        NasError: an unknown function, a target that is not positive, or a weight that is not finite.
    """

    name: str = "netscore"
    cost: str = "macs"
    target: float = 1.0
    weight: float = -0.07

    def __post_init__(self) -> None:
        if self.name not in UTILITIES:
            raise NasError(f"search.options.utility: {unknown('function', self.name, UTILITIES)}")
        if not 0 < self.target < np.inf:
            raise NasError(f"search.options.target is {self.target}; a number above 0 is needed.")
        if not np.isfinite(self.weight):
            raise NasError(f"search.options.weight is {self.weight}; a finite number is needed.")

    @property
    def costs(self) -> tuple[str, ...]:
        """Metrics it needs beside the accuracy."""
        return {"netscore": ("params", "macs"), "product": (self.cost,)}.get(self.name, ())

    def __call__(self, accuracy: Floats, costs: Costs) -> Floats:
        """Utility `(n,)` of accuracies in 0..1 (or of an objective to be maximised) `(n,)`; NaN where that is.

        Raises:
            NasError: a cost that it needs is not among `costs`.
        """
        for name in self.costs:
            if name not in costs:
                raise NasError(
                    f"the utility {self.name!r} needs {name}; this run has {', '.join(costs) or 'no costs'}."
                )
        if not self.costs:
            return accuracy
        if self.name == "product":
            product: Floats = accuracy * (costs[self.cost] / self.target) ** self.weight
            return product
        score: Floats = 20 * (
            ALPHA * np.log10(100 * np.maximum(accuracy, LEAST))
            - BETA * np.log10(costs["params"] / 1e6)
            - GAMMA * np.log10(costs["macs"] / 1e9)
        )
        return score
