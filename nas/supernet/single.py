"""One architecture trained alone, by the supernet's trainer."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from nas.blocks.ops import Ops
from nas.errors import NasError
from nas.space.batch import Arch
from nas.space.space import Space
from nas.supernet.network import Layer, Network, layers_of
from nas.supernet.relaxed import Relaxed
from nas.supernet.sampling.base import Subnet, SubnetSampler
from nas.supernet.thinned import Thinned
from nas.supernet.trainee import Trainee


class Single(Trainee):
    """The static network of one architecture, as a trainer wants it.

    Args:
        arch: the only one that it runs.
        network: of that architecture, with its initial weights; trained in place.
    """

    def __init__(self, space: Space, arch: Arch, network: Network) -> None:
        super().__init__(space)
        self.arch, self.network = arch, network
        self._smaller: dict[float, tuple[Layer, ...]] = {}

    @property
    def full_scale(self) -> float:
        return self.network.scale

    def forward(
        self,
        x: Tensor,
        arch: Arch | Relaxed | Thinned,
        momentum: float = 0.1,
        answers: list[Tensor] | None = None,
    ) -> Tensor:
        """Class scores `(B, classes)` of images `(B, channels, H, W)`.

        Raises:
            NasError: another architecture than its own.
        """
        if not isinstance(arch, Arch) or arch.id != self.arch.id:
            raise NasError(f"this network is that of {self.arch.id} alone.")
        ops = Ops(self.training, momentum, self._together, answers)
        return self.network.run(x, ops, None if self.share == 1 else self._layers())

    def _layers(self) -> tuple[Layer, ...]:
        """The layers of its network for smaller images; they use a part of the same weights."""
        if self.share not in self._smaller:
            classes = self.network.description[-1].sizes.get("classes")
            scale = self.network.scale * self.share
            slots = self.space.lower(self.arch, scale=scale, classes=classes)
            self._smaller[self.share] = tuple(layers_of(slots))
        return self._smaller[self.share]


class SingleSampler(SubnetSampler):
    """The same architecture in every step."""

    def __init__(self, arch: Arch) -> None:
        super().__init__(np.random.default_rng(0))
        self.arch = arch

    def draw(self, step: int, total: int) -> list[Subnet]:
        return [Subnet(self.arch, "single")]
