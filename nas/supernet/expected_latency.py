"""The expected latency of a relaxed network, differentiable in its logits: `Σ p · t` over positions and blocks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nas.space.batch import Arch
from nas.space.space import Space
from nas.supernet.relaxed import Relaxation, options_of

UnitTimes = Callable[[str, Mapping[str, Any]], Any]


class ExpectedLatency:
    """Expected latency in shares of that of the network with the slowest block everywhere.

    Each block is timed alone between empty positions, its converters of layout with it. Units outside of the
    choices are left out: no logit changes them.

    Args:
        unit_times: milliseconds of units, `nas.latency.device.Device.unit_times`.
        largest: the architecture whose slowest blocks are 1.
    """

    def __init__(self, space: Space, unit_times: UnitTimes, largest: Arch) -> None:
        self.space, self.unit_times = space, unit_times
        self._times: dict[str, dict[str, NDArray[np.float64]]] = {}
        self.whole = sum(float(times.max(axis=1).sum()) for times in self.times(largest).values())

    def times(self, arch: Arch) -> dict[str, NDArray[np.float64]]:
        """Milliseconds of each block at the sizes of `arch`, `(positions, blocks)` by stage."""
        if arch.id not in self._times:
            self._times[arch.id] = self._table(arch)
        return self._times[arch.id]

    def _table(self, arch: Arch) -> dict[str, NDArray[np.float64]]:
        slots, rows, choices = options_of(self.space, arch)
        n = 1 + sum(len(found) for found in rows.values())
        sums: dict[str, NDArray[np.float64]] = {}
        for slot in slots:
            place = slot.place
            if place in rows:
                sizes = {key: np.broadcast_to(np.asarray(size), (n,)) for key, size in slot.sizes.items()}
                active = np.broadcast_to(np.asarray(slot.active, dtype=bool), (n,))
                took = np.where(active, self.unit_times(slot.kind, sizes).ms, 0.0)
                sums[place] = sums.get(place, np.zeros(n)) + took
        stages: dict[str, list[NDArray[np.float64]]] = {}
        for place, found in rows.items():
            stages.setdefault(choices[place].stage, []).append(sums[place][list(found.values())])
        return {stage: np.stack(times) for stage, times in stages.items()}

    def __call__(self, relaxation: Relaxation, arch: Arch) -> Tensor:
        """Share of the largest's latency, a scalar."""
        probabilities = relaxation.probabilities()
        parts = [
            (probabilities[stage] * torch.as_tensor(times).to(probabilities[stage])).sum()
            for stage, times in self.times(arch).items()
        ]
        return torch.stack(parts).sum() / self.whole
