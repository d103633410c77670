"""Uniform and sandwich sampling: the alternatives that complexity-aware sampling is compared with."""

from __future__ import annotations

import numpy as np

from nas.costs.counts import plan_for
from nas.errors import NasError
from nas.space.batch import Arch
from nas.space.space import Space
from nas.supernet.sampling.base import Subnet, SubnetSampler
from nas.supernet.sampling.levels import Levels
from nas.supernet.thinned import droppable, thin

EXTREME_DRAWS = 4096


class UniformSampler(SubnetSampler):
    """Every step, `subnets` archs drawn uniformly from the space; none learns from another."""

    def __init__(self, space: Space, subnets: int, rng: np.random.Generator) -> None:
        super().__init__(rng)
        self.space, self.subnets = space, subnets

    def draw(self, step: int, total: int) -> list[Subnet]:
        return [Subnet(arch, "explored") for arch in self.space.sample(self.subnets, rng=self.rng)]


class SandwichSampler(SubnetSampler):
    """The largest, `subnets - 2` random ones, and the smallest, which learns from the others.

    Args:
        drop_path: probability with which a step leaves out each block of the largest that can be.
    """

    def __init__(self, space: Space, subnets: int, rng: np.random.Generator, drop_path: float = 0.0) -> None:
        super().__init__(rng)
        if subnets < 2:
            raise NasError(
                f"train.sampler.subnets={subnets}: a sandwich has 2 at least, largest and smallest."
            )
        self.space, self.subnets, self.drop_path = space, subnets, drop_path
        self.smallest, self.largest = extremes(space)
        self._places = droppable(space, self.largest) if drop_path else []

    def draw(self, step: int, total: int) -> list[Subnet]:
        middle = self.space.sample(max(self.subnets - 2, 0), rng=self.rng)
        thinned = thin(self.largest, self._places, self.drop_path, self.rng) if self.drop_path else None
        return [
            Subnet(self.largest, "largest", network=thinned),
            *[Subnet(arch, "explored") for arch in middle],
            Subnet(self.smallest, "minimum"),
        ]


def extremes(space: Space) -> tuple[Arch, Arch]:
    """Smallest and largest arch by MACs: the ends of every ordinal decision, or the extremes of 4,096 draws."""
    sizes = np.array([[len(d) for d in space.decisions]])
    ends = space.repair(space.decode(np.concatenate([np.zeros_like(sizes), sizes - 1])))
    drawn = space.sample(EXTREME_DRAWS, seed=0)
    candidates = [ends[0], ends[1]]
    macs = plan_for(space)(drawn)["macs"]
    candidates += [drawn[int(macs.argmin())], drawn[int(macs.argmax())]]
    cost = plan_for(space)(space.encode(candidates))["macs"]
    return candidates[int(cost.argmin())], candidates[int(cost.argmax())]


def bounds(levels: Levels) -> dict[str, tuple[float, ...]]:
    """Levels grouped by the smallest subnet that serves them: MACs by arch id."""
    grouped: dict[str, tuple[float, ...]] = {}
    for macs, arch in zip(levels.macs, levels.minimum):
        grouped[arch.id] = (*grouped.get(arch.id, ()), macs)
    return grouped
