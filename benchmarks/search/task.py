"""A search problem whose true front is known: a space, what its architectures are worth, and what can be reached."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau

from nas.metrics import Direction
from nas.search.pareto import hypervolume, non_dominated
from nas.search.strategies.base import Cheap
from nas.space import ArchBatch, Space, load_space

Floats = NDArray[np.float64]
Values = Callable[[ArchBatch], Floats]
AGREEMENT = 0.87
"""Kendall's tau between what noisy evaluations say of uniform draws and their true values: what accuracies on search
images have with those on unseen test images, as measured with the tool's embedded recipe on ElasticViT's space."""
DRAWS, HALVINGS = 2_000, 30
"""Uniform draws that a tau is known from to a hundredth, and halvings of the interval in which the noise is sought."""


@dataclass(frozen=True)
class Task:
    """A search problem.

    Attributes:
        name: under which it is chosen.
        space: to search.
        directions: of the objectives.
        values: true objective values of architectures, `(n, m)`.
        free: which objectives cost nothing and are exact, so that strategies may compute them; the others are
            known of evaluated architectures alone.
        reference: of the hypervolume, `(m,)`.
        reachable: hypervolume of the true front.
        noise: standard deviation of what an evaluation says, `(m,)`; 0 where an objective is free.
    """

    name: str
    space: Space
    directions: tuple[Direction, ...]
    values: Values
    free: tuple[bool, ...]
    reference: tuple[float, ...]
    reachable: float
    noise: tuple[float, ...] = ()

    @property
    def cheap(self) -> Cheap | None:
        """The free objectives as strategies take them; None where there are none."""
        if not any(self.free):
            return None
        free = np.array(self.free)

        def known(batch: ArchBatch) -> tuple[Floats, Floats]:
            return np.where(free, self.values(batch), np.nan), np.zeros(len(batch))

        return known

    def evaluated(self, true: Floats, rng: np.random.Generator) -> Floats:
        """What evaluations say of architectures with these true values, `(n, m)`."""
        return true + rng.normal(size=true.shape) * self.noise if self.noise else true

    def share(self, values: Floats) -> float:
        """Share of the reachable hypervolume that these true values cover."""
        return hypervolume(values, self.reference, self.directions) / self.reachable

    def noisy(self) -> Task:
        """The same task, its evaluations with noise on all objectives that are not free."""
        columns = self.values(self.space.sample(DRAWS, seed=0)).T
        noise = tuple(
            0.0 if free else _noise(column) for column, free in zip(columns, self.free, strict=True)
        )
        return replace(self, name=f"{self.name}-noisy", noise=noise)


def _noise(values: Floats) -> float:
    """The standard deviation of normal noise with which values agree with themselves as `AGREEMENT` says."""
    unit = np.random.default_rng(0).normal(size=len(values))
    low, high = 0.0, float(np.ptp(values))
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        agreement = kendalltau(values, values + middle * unit).statistic
        low, high = (middle, high) if agreement > AGREEMENT else (low, middle)
    return high


def with_front(task: Task, front: Floats) -> Task:
    """The task, its reachable hypervolume that of the true front or of any set that holds it."""
    kept = front[non_dominated(front, task.directions)]
    return replace(task, reachable=hypervolume(kept, task.reference, task.directions))


def space_of(name: str, decisions: dict[str, str]) -> Space:
    """A space without networks; its decisions as a space file has them."""
    lines = "".join(f"  {decision}: {text}\n" for decision, text in decisions.items())
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.yaml"
        path.write_text(f"version: 1\nname: {name}\ndecisions:\n{lines}", encoding="utf-8")
        return load_space(path)
