"""Complexity-aware and performance-aware sampling (ElasticViT, fact sheet §3 and §4).

Complexity-aware: all subnets of a step come from one level of MACs; the level takes a random walk of
neighbouring steps; each step trains three sampled subnets and the level's smallest one, never the largest.
Performance-aware: with growing probability a subnet is drawn from the level's bank of well-performing ones;
otherwise, of several candidates, the one that spends its MACs on width rather than depth is trained.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from nas.costs.counts import plan_for
from nas.costs.window import TooWideError, WindowSampler
from nas.errors import NasError
from nas.space.batch import Arch, ArchBatch, concatenate
from nas.space.space import Space
from nas.supernet.sampling.bank import Bank, Scorer
from nas.supernet.sampling.base import Subnet, SubnetSampler
from nas.supernet.sampling.levels import Levels
from nas.supernet.sampling.simple import bounds

Policy = Literal["adjacent-step", "adjacent", "random", "cyclic"]
POLICIES: tuple[Policy, ...] = ("adjacent-step", "adjacent", "random", "cyclic")
CANDIDATES = 5
BETA_START, BETA_RISE, BETA_RISES = 0.2, 0.15, 6
REJECTION_ROUNDS, REJECTION_DRAWS = 400, 20_000


@dataclass(frozen=True)
class BankSettings:
    """Sizes and refreshing of the banks.

    Attributes:
        capacity: entries of a bank of the levels in the lower half.
        big_capacity: of the others (paper: 150 below 500 M MACs, 50 from there).
        refreshes: how often during a run all banks are scored again (paper: once an epoch).
        partial_refreshes: how often, in addition, the current level's bank is (paper: three times an epoch).
    """

    capacity: int = 150
    big_capacity: int = 50
    refreshes: int = 600
    partial_refreshes: int = 1800


@dataclass
class Tally:
    """What the sampler did: draws, exploited draws, draws the preference rule decided."""

    draws: int = 0
    exploited: int = 0
    preferred: int = 0
    rescored: int = 0
    levels: list[int] = field(default_factory=list)


class LevelSource:
    """Uniform draws from each level's window, at or above its smallest subnet."""

    def __init__(self, space: Space, levels: Levels) -> None:
        self.space, self.levels = space, levels
        self._samplers: dict[str, WindowSampler | None] = {}
        ordinal = np.array([d.kind == "ordinal" for d in space.decisions])
        self._low = {a.id: np.where(ordinal, space.encode([a]).codes[0], 0) for a in levels.minimum}
        for arch_id, macs in bounds(levels).items():
            try:
                top = max(macs) + levels.window
                self._samplers[arch_id] = WindowSampler(space, self._low[arch_id], top, levels.window)
            except TooWideError:
                self._samplers[arch_id] = None

    def sample(self, level: int, n: int, rng: np.random.Generator) -> ArchBatch:
        """`n` archs of a level.

        Raises:
            NasError: none found.
        """
        low = self.levels.macs[level]
        arch_id = self.levels.minimum[level].id
        sampler = self._samplers[arch_id]
        if sampler is not None:
            return sampler.sample(n, low, low + self.levels.window, rng)
        return self._reject(self._low[arch_id], n, low, rng)

    def _reject(self, bound: Any, n: int, low: float, rng: np.random.Generator) -> ArchBatch:
        found: list[ArchBatch] = []
        for _ in range(REJECTION_ROUNDS):
            batch = self.space.sample(REJECTION_DRAWS, rng=rng)
            macs = plan_for(self.space)(batch)["macs"]
            inside = (macs >= low) & (macs <= low + self.levels.window) & (batch.codes >= bound).all(axis=1)
            found.append(batch[np.flatnonzero(inside)])
            if sum(len(part) for part in found) >= n:
                return concatenate(found)[:n]
        raise NasError(
            f"too few architectures with about {low / 1e6:g}M MACs were found by rejection; widen the window."
        )


class ComplexitySampler(SubnetSampler):
    """Complexity-aware sampling, with performance-aware choice within a level if `banks` are given.

    Args:
        subnets: per step, the smallest one included (paper: 4).
        policy: how the level moves: `adjacent-step` (paper), or one of the ablations.
        banks: settings of the memory banks; None draws uniformly within the level.
        steps_per_epoch: the level makes an extra move at each epoch's end; 0: there are no epochs.
    """

    def __init__(
        self,
        space: Space,
        levels: Levels,
        subnets: int,
        rng: np.random.Generator,
        *,
        policy: Policy = "adjacent-step",
        banks: BankSettings | None = None,
        steps_per_epoch: int = 0,
    ) -> None:
        super().__init__(rng)
        if subnets < 2:
            raise NasError(f"train.sampler.subnets={subnets}: 2 at least, of which the smallest is one.")
        self.space, self.levels, self.subnets, self.policy = space, levels, subnets, policy
        self.settings, self.steps_per_epoch = banks, steps_per_epoch
        self.source = LevelSource(space, levels)
        self.level = 0
        self.tally = Tally(levels=[0] * len(levels.macs))
        half = len(levels.macs) // 2
        self.banks = [
            Bank((banks.capacity if i < half else banks.big_capacity) if banks else 0)
            for i in range(len(levels.macs))
        ]

    def draw(self, step: int, total: int) -> list[Subnet]:
        """Three sampled subnets of one level and its smallest."""
        if self.policy != "adjacent":
            self._move()
        if self.steps_per_epoch and step and step % self.steps_per_epoch == 0:
            self._move()
        chosen = []
        for _ in range(self.subnets - 1):
            if self.policy in ("adjacent", "random"):
                self._move()
            chosen.append(self._choose(step, total))
        self.tally.levels[self.level] += 1
        return [*chosen, Subnet(self.levels.minimum[self.level], "minimum", self.level)]

    def _move(self) -> None:
        top = len(self.levels.macs) - 1
        if self.policy == "random":
            self.level = int(self.rng.integers(top + 1))
        elif self.policy == "cyclic":
            self.level = (self.level - 1) % (top + 1)
        else:
            self.level = min(max(self.level + int(self.rng.integers(-1, 2)), 0), top)

    def _choose(self, step: int, total: int) -> Subnet:
        self.tally.draws += 1
        bank, level = self.banks[self.level], self.level
        if self.settings is None:
            return Subnet(self.source.sample(level, 1, self.rng)[0], "explored", level)
        if self.rng.random() < exploitation(step, total) and bank.filled > 0.5:
            self.tally.exploited += 1
            return Subnet(bank.draw(self.rng), "exploited", level)
        candidates = self.source.sample(level, CANDIDATES, self.rng)
        if bank.filled < 0.5:
            return Subnet(candidates[0], "explored", level)
        self.tally.preferred += 1
        return Subnet(candidates[int(self._preference(candidates).argmin())], "explored", level, True)

    def _preference(self, batch: ArchBatch) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Δ of each candidate: MACs with the anchor's widths minus MACs with the anchor's depths."""
        anchor = self._anchor()
        codes = self.space.encode([anchor]).codes[0]
        narrow, shallow = batch.codes.copy(), batch.codes.copy()
        narrow[:, list(self.levels.widths)] = codes[list(self.levels.widths)]
        shallow[:, list(self.levels.depths)] = codes[list(self.levels.depths)]
        plan = plan_for(self.space)
        return (
            plan(self.space.repair(ArchBatch(self.space, narrow)))["macs"]
            - plan(self.space.decode(shallow))["macs"]
        )

    def _anchor(self) -> Arch:
        if self.level == 0 or not self.banks[0].archs:
            return self.levels.anchor
        return self.banks[0].best

    def wants_score(self, subnet: Subnet) -> bool:
        """Newly explored subnets are scored for the bank."""
        return self.settings is not None and subnet.role == "explored"

    def observe(self, subnet: Subnet, score: float) -> None:
        """Offer an explored subnet to its level's bank."""
        self.banks[subnet.level].insert(subnet.arch, score)

    def refresh(self, step: int, total: int, scorer: Scorer) -> int:
        """Score all banks, or the current one, where the settings say that it is time."""
        if self.settings is None:
            return 0
        if _due(step, total, self.settings.refreshes):
            banks = self.banks
        elif _due(step, total, self.settings.partial_refreshes):
            banks = [self.banks[self.level]]
        else:
            return 0
        for bank in banks:
            bank.refresh(scorer)
        rescored = sum(len(bank.archs) for bank in banks)
        self.tally.rescored += rescored
        return rescored

    def facts(self) -> dict[str, float]:
        """Shares of exploited draws and of draws the preference rule chose; entries in each bank."""
        if self.settings is None:
            return {}
        draws = max(self.tally.draws, 1)
        return {
            "exploited": self.tally.exploited / draws,
            "preferred": self.tally.preferred / draws,
            "rescored": float(self.tally.rescored),
            **{f"bank.{macs / 1e6:g}M": float(len(b.archs)) for macs, b in zip(self.levels.macs, self.banks)},
        }

    def state(self) -> dict[str, Any]:
        tally = self.tally
        return {
            "level": self.level,
            "banks": [bank.state() for bank in self.banks],
            "tally": [tally.draws, tally.exploited, tally.preferred, tally.rescored],
            "levels": list(tally.levels),
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.level = int(state["level"])
        for bank, saved in zip(self.banks, state["banks"]):
            bank.restore(self.space, saved)
        draws, exploited, preferred, rescored = (int(value) for value in state["tally"])
        self.tally = Tally(draws, exploited, preferred, rescored, [int(v) for v in state["levels"]])


def exploitation(step: int, total: int) -> float:
    """Probability β of drawing from the bank: 0.2, and 0.15 more after each sixth of the run, at most 1.

    The paper's breakpoints, every 100 of 600 epochs, as fractions of the run.
    """
    return min(BETA_START + BETA_RISE * (BETA_RISES * (step + 1) // max(total, 1)), 1.0)


def _due(step: int, total: int, times: int) -> bool:
    """Whether the `times` evenly spread events of a run include one at `step` (never at step 0)."""
    return step > 0 and times > 0 and (step * times) // total != ((step - 1) * times) // total
