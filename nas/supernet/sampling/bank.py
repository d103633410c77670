"""Memory banks of well-performing subnets, one per level (ElasticViT, fact sheet §4.1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

import numpy as np

from nas.space.batch import Arch
from nas.space.space import Space

Scorer = Callable[[Arch], float]


@dataclass
class Bank:
    """At most `capacity` archs with scores (minus their cross-entropy); a better one replaces the worst."""

    capacity: int
    archs: list[Arch] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)

    def insert(self, arch: Arch, score: float) -> None:
        """Append while there is room, else replace the worst entry if `score` is better."""
        if arch in self.archs:
            self.scores[self.archs.index(arch)] = score
        elif len(self.archs) < self.capacity:
            self.archs.append(arch)
            self.scores.append(score)
        else:
            worst = int(np.argmin(self.scores))
            if score > self.scores[worst]:
                self.archs[worst], self.scores[worst] = arch, score

    def refresh(self, scorer: Scorer) -> None:
        """Score every entry again; a score that is not finite (a broken batch) leaves the old one."""
        new = [scorer(arch) for arch in self.archs]
        self.scores = [score if isfinite(score) else old for score, old in zip(new, self.scores)]

    def draw(self, rng: np.random.Generator) -> Arch:
        """One entry with probability softmax(score)."""
        scores = np.array(self.scores)
        weights = np.exp(scores - scores.max())
        return self.archs[int(rng.choice(len(scores), p=weights / weights.sum()))]

    @property
    def best(self) -> Arch:
        """The entry with the best score."""
        return self.archs[int(np.argmax(self.scores))]

    @property
    def filled(self) -> float:
        """Share of the capacity in use, in 0..1."""
        return len(self.archs) / self.capacity

    def state(self) -> dict[str, Any]:
        """Plain data."""
        return {"archs": [arch.values for arch in self.archs], "scores": list(self.scores)}

    def restore(self, space: Space, state: dict[str, Any]) -> None:
        """Back to a state."""
        self.archs = [Arch(space, values) for values in state["archs"]]
        self.scores = [float(score) for score in state["scores"]]
