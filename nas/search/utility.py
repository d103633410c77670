"""Universal performance functions: what one number a network is worth.

`netscore` is NetScore (Wong 2018, arXiv 1806.05512): `20 · log10(a^α / (p^β · m^γ))`, a being the accuracy in percent,
p the parameters in millions and m the MACs in billions; α = 2, β = γ = 0.5. `product` is the weighted product of
MnasNet (Tan et al. 2019, arXiv 1807.11626): `a · (cost / target)^weight`, there with weight -0.07. `training_aware` is
the reward of EfficientNetV2 (Tan and Le 2021, arXiv 2104.00298, section 3.3): `a · (s / target)^weight · p^v`, s being
the time of a training step, which is the latency of a device profiled with `--runtime training`; weight is w = -0.07
and v = -0.05. `accuracy` is accuracy alone, `objective` the first objective of the study, whatever it is.

Where the number of classes is known, the first three weigh accuracy above chance, `(a - 1/classes) / (1 - 1/classes)`:
else a network that guesses would win by being small.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nas.errors import NasError, unknown

Floats = NDArray[np.float64]
Costs = Mapping[str, NDArray[np.float64]]
UTILITIES = ("netscore", "product", "training_aware", "accuracy", "objective")
ALPHA, BETA, GAMMA = 2.0, 0.5, 0.5
OF_PARAMS = -0.05  # v of EfficientNetV2's reward, section 3.3
USUAL_COST = {"product": "macs", "training_aware": "latency"}
MAKE_STEP = "nas device profile host --runtime training --space SPACE"
LEAST = 1e-4  # accuracy above chance that is counted where there is none
WORDS = {
    "netscore": "NetScore: accuracy against parameters and MACs",
    "product": "a weighted product of accuracy and one cost",
    "training_aware": "a weighted product of accuracy, training step and parameters",
    "accuracy": "accuracy alone",
    "objective": "the first objective alone",
}
"""What each function weighs, for people."""


@dataclass(frozen=True)
class Utility:
    """A performance function of accuracy and costs; larger is better.

    Attributes:
        name: of `UTILITIES`.
        cost, target, weight: of a weighted product; the target in the cost's stored unit. "" is the usual cost: MACs of
            `product`, the training step of `training_aware`.
        classes: of the data; None: accuracies count as they are.

    Raises:
        NasError: an unknown function, a target that is not positive, or a weight that is not finite.
    """

    name: str = "netscore"
    cost: str = ""
    target: float = 1.0
    weight: float = -0.07
    classes: int | None = None

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
        if self.name == "netscore":
            return ("params", "macs")
        if self.name not in USUAL_COST:
            return ()
        weighed = self.cost or USUAL_COST[self.name]
        return (weighed, "params") if self.name == "training_aware" else (weighed,)

    def among(self, costs: Sequence[str], steps: Sequence[str]) -> Utility:
        """The same for a run with these costs; steps are those of them that are times of a training step.

        Raises:
            NasError: what it weighs is not there, or is not the one training step; says what to do.
        """
        known = self
        if self.name == "training_aware":
            cost = self.cost or (steps[0] if len(steps) == 1 else "")
            if cost not in steps:
                raise NasError(self._no_step(steps))
            known = replace(self, cost=cost)
        missing = [name for name in known.costs if name not in costs]
        if missing:
            raise NasError(
                f"the utility {self.name!r} needs {' and '.join(missing)}; this run has "
                f"{', '.join(costs) or 'no costs'}. Choose another with search.options.utility: objective needs none."
            )
        return known

    def _no_step(self, steps: Sequence[str]) -> str:
        which = (
            f"{self.cost} is not one" if self.cost else "there is none" if not steps else "there are several"
        )
        remedy = (
            f"Choose search.options.cost from {', '.join(steps)}."
            if steps
            else f"Time one with `{MAKE_STEP}`, and add --device host-training."
        )
        return f"the utility 'training_aware' weighs the time of a training step, and {which} in this run. {remedy}"

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
        above = self.above_chance(accuracy)
        if self.name in USUAL_COST:
            product: Floats = above * (costs[self.costs[0]] / self.target) ** self.weight
            return product * (costs["params"] / 1e6) ** OF_PARAMS if "params" in self.costs[1:] else product
        score: Floats = 20 * (
            ALPHA * np.log10(100 * above)
            - BETA * np.log10(costs["params"] / 1e6)
            - GAMMA * np.log10(costs["macs"] / 1e9)
        )
        return score

    def above_chance(self, accuracy: Floats) -> Floats:
        """What an accuracy is beyond guessing, of what it can be, `(n,)`; at least `LEAST`, NaN where that is."""
        chance = 1 / self.classes if self.classes is not None and self.classes > 1 else 0.0
        return np.maximum((accuracy - chance) / (1 - chance), LEAST)
