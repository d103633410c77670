"""Learning rate: linear warm-up, cosine decay, then constant."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi


@dataclass(frozen=True)
class Cosine:
    """Learning rate as a pure function of the step.

    Attributes:
        peak, floor, start: highest rate, rate at and after `total`, and rate of step 0 when there is a warm-up.
        warmup: steps of the warm-up; the cosine counts from step 0, as timm's does.
        total: steps until the floor.
    """

    peak: float
    floor: float
    start: float
    warmup: int
    total: int

    def __call__(self, step: int) -> float:
        """Learning rate of optimizer step `step`, from 0."""
        if step < self.warmup:
            return self.start + (self.peak - self.start) * step / self.warmup
        if step >= self.total:
            return self.floor
        return self.floor + 0.5 * (self.peak - self.floor) * (1 + cos(pi * step / self.total))
