"""Relaxed architectures for every training step: noise and temperature (EfficientFormer, §4)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nas.settings import RelaxedSettings
from nas.space.batch import Arch, ArchBatch
from nas.space.choices import heaviest, needed_choices
from nas.space.space import Space
from nas.supernet.relaxed import Relaxed
from nas.supernet.sampling.base import Subnet, SubnetSampler


class RelaxedSampler(SubnetSampler):
    """Every step, `subnets` mixtures of all blocks, each with its own noise.

    The first has the largest value of every ordinal decision; so have the others with `widths: one`, the paper's,
    while with `widths: all` these decisions are drawn.

    Raises:
        NasError: the space chooses no blocks by position.
    """

    def __init__(
        self, space: Space, subnets: int, rng: np.random.Generator, settings: RelaxedSettings
    ) -> None:
        super().__init__(rng)
        self.space, self.subnets, self.settings = space, subnets, settings
        self.choices = needed_choices(space)
        self._columns = [space.index[choice.decision] for found in self.choices.values() for choice in found]
        self.largest = heaviest(space)[0]

    def draw(self, step: int, total: int) -> list[Subnet]:
        temperature = self.temperature(step, total)
        hard = self.settings.mode == "hard"
        return [
            Subnet(arch, "relaxed", network=Relaxed(arch, self._noise(), temperature, hard))
            for arch in (self.largest, *self._sizes(self.subnets - 1))
        ]

    def temperature(self, step: int, total: int) -> float:
        """Falls geometrically from the first to the last step."""
        share = step / max(total - 1, 1)
        first, last = self.settings.temperature, self.settings.final_temperature
        return float(first * (last / first) ** share)

    def _sizes(self, n: int) -> list[Arch]:
        if self.settings.widths == "one":
            return [self.largest] * n
        codes = self.space.sample(n, rng=self.rng).codes.copy()
        codes[:, self._columns] = self.space.encode([self.largest]).codes[:, self._columns]
        return list(self.space.repair(ArchBatch(self.space, codes)))

    def _noise(self) -> dict[str, NDArray[np.float64]]:
        shapes = {stage: (len(found), len(found[0].values)) for stage, found in self.choices.items()}
        if self.settings.noise == "uniform":
            return {stage: self.rng.random(shape) for stage, shape in shapes.items()}
        return {stage: self.rng.gumbel(size=shape) for stage, shape in shapes.items()}
