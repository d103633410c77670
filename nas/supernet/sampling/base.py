"""The one interface of subnet samplers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from nas.space.batch import Arch
from nas.supernet.relaxed import Relaxed
from nas.supernet.sampling.bank import Scorer
from nas.supernet.thinned import Thinned

Role = Literal["explored", "exploited", "minimum", "largest", "relaxed", "single"]


@dataclass(frozen=True)
class Subnet:
    """One subnet of a training step.

    Attributes:
        role: how it was chosen; the `minimum` (or the smallest) learns from the others.
        level: index of its level, or -1 where the sampler has none.
        preferred: whether the preference rule chose it among candidates.
        network: what is run in its place, relaxed or with blocks dropped; None: `arch` itself.
    """

    arch: Arch
    role: Role
    level: int = -1
    preferred: bool = False
    network: Relaxed | Thinned | None = None


class SubnetSampler(ABC):
    """Chooses the subnets of each training step. All randomness is its own generator's."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    @abstractmethod
    def draw(self, step: int, total: int) -> list[Subnet]:
        """Subnets of step `step` of `total`; those that teach come before the one that learns from them."""

    def wants_score(self, subnet: Subnet) -> bool:
        """Whether `observe` needs this subnet's score."""
        return False

    def observe(self, subnet: Subnet, score: float) -> None:
        """Minus the cross-entropy of a subnet that was trained, where `wants_score`."""

    def refresh(self, step: int, total: int, scorer: Scorer) -> int:
        """Score remembered subnets again where it is time; returns how many were scored."""
        return 0

    def facts(self) -> dict[str, float]:
        """What the sampler did so far, as numbers for the report."""
        return {}

    def state(self) -> dict[str, Any]:
        """Plain data, the generator apart."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Back to a state."""
