"""What the study of sampling trains: scales, samplers, settings of a run, the architectures it judges by."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from tables import Row

from nas.accuracy.inherited import Evaluation
from nas.costs.counts import cost
from nas.costs.window import WindowSampler
from nas.pipeline.plan import RunPlan, make_plan
from nas.pipeline.training import make_sampler
from nas.settings import RunSettings, make_settings
from nas.space.batch import Arch
from nas.space.load import load_space
from nas.space.space import Space
from nas.supernet.sampling.base import Subnet, SubnetSampler
from nas.supernet.sampling.complexity import ComplexitySampler, LevelSource
from nas.supernet.sampling.levels import levels_of
from nas.supernet.sampling.simple import UniformSampler, extremes

Drawn = Literal["levels", "space"]
HERE = Path(__file__).resolve().parent
SAMPLERS = ("uniform", "sandwich", "complexity", "performance")
VARIANTS = {
    "uniform+smallest": "uniform",
    "wide levels": "complexity",
    "high levels": "complexity",
    "mixed levels": "complexity",
    "cyclic levels": "performance",
    "cyclic levels, large banks": "performance",
    "large banks": "performance",
    "fresh banks": "performance",
}
POLICIES = {"mixed levels": "random", "cyclic levels": "cyclic", "cyclic levels, large banks": "cyclic"}
WIDER, LARGER, FRESHER = 5, 4, 8
LOWEST = 2
GROUP_LEVELS = {"small": (0, 1), "medium": (3, 4), "large": (6, 7)}
FROM_EACH_LEVEL = 2
FROM_SPACE = 4
COMPARED = 2
SUBNETS = 4
REFRESHES, PARTIAL_REFRESHES = 3, 9


@dataclass(frozen=True)
class Scale:
    """How large the study is.

    Attributes:
        space: name or file.
        steps, alone_steps: optimizer steps of a supernet, and of a network trained alone.
        points: how often a supernet's banks are looked at while it trains.
        gradient_points: and how often, evenly spread, gradients are compared.
        gradient_images: held-out images a gradient is taken of.
        capacity, big_capacity: of the banks.
        augment: augmentation of training images.
    """

    space: str
    data: str
    resolution_scale: float
    steps: int
    alone_steps: int
    batch: int
    lr: float
    points: int = 10
    gradient_points: int = 2
    gradient_images: int = 64
    capacity: int = 8
    big_capacity: int = 4
    augment: str = "none"


SCALES = {
    "cpu": Scale(
        space=str(HERE / "space.yaml"),
        data="shapes:size=6000,test=1000,difficulty=medium",
        resolution_scale=1.0,
        steps=800,
        alone_steps=800,
        batch=32,
        lr=3e-3,
    ),
    "gpu": Scale(
        space="elasticvit",
        data="shapes:size=60000,test=5000,classes=20,difficulty=hard",
        resolution_scale=0.5,
        steps=20_000,
        alone_steps=20_000,
        batch=128,
        lr=1e-3,
        capacity=150,
        big_capacity=50,
    ),
}
EMBEDDED = Scale(
    space="elasticvit",
    data="digits",
    resolution_scale=0.125,
    steps=220,
    alone_steps=220,
    batch=32,
    lr=1.5e-3,
    augment="embedded",
)


@dataclass(frozen=True)
class Judge:
    """An architecture whose accuracy is compared.

    Attributes:
        group: `small`, `medium` or `large`; `smallest` for the smallest of the space.
        drawn: as complexity-aware sampling draws from its `levels`, or uniformly from the `space`.
        macs: multiply-accumulates at the deployment resolution.
    """

    arch: Arch
    group: str
    drawn: Drawn
    macs: int


def judged(judge: Judge, seed: int, found: Evaluation) -> Row:
    """A table's row: how an architecture did on the test images."""
    return {
        "seed": seed,
        "arch": judge.arch.id,
        "group": judge.group,
        "drawn": judge.drawn,
        "macs": judge.macs,
        "correct": found.correct,
        "images": found.n,
        "loss": found.loss,
    }


class UniformAndSmallest(SubnetSampler):
    """Uniform draws and the smallest subnet, which learns from them: what is new in the paper left out."""

    def __init__(self, space: Space, subnets: int, rng: np.random.Generator) -> None:
        super().__init__(rng)
        self.uniform = UniformSampler(space, subnets - 1, rng)
        self.smallest, _ = extremes(space)

    def draw(self, step: int, total: int) -> list[Subnet]:
        """Three uniform draws, then the smallest."""
        return [*self.uniform.draw(step, total), Subnet(self.smallest, "minimum")]


def settings_of(scale: Scale, sampler: str, seed: int, *, steps: int) -> RunSettings:
    """Settings of one training: the embedded recipe but for what the scale says, and four batches recalibrate."""
    name, larger = VARIANTS.get(sampler, sampler), LARGER if sampler.endswith("large banks") else 1
    fresher = FRESHER if sampler == "fresh banks" else 1
    changes = {
        "seed": seed,
        "threads": 1,
        "data.spec": scale.data,
        "train.resolution_scale": scale.resolution_scale,
        "train.steps": steps,
        "train.batch": scale.batch,
        "train.augment": scale.augment,
        "train.lr": scale.lr,
        "train.min_lr": scale.lr / 100,
        "train.checkpoint_every": 2 * steps,
        "train.conflict_every": 0,
        "evaluate.final_recalibrate": 4,
        "train.sampler.name": name,
        "train.sampler.policy": POLICIES.get(sampler, "adjacent-step"),
        "train.sampler.subnets": SUBNETS,
        "train.sampler.banks.capacity": larger * scale.capacity,
        "train.sampler.banks.big_capacity": larger * scale.big_capacity,
        "train.sampler.banks.refreshes": fresher * REFRESHES,
        "train.sampler.banks.partial_refreshes": fresher * PARTIAL_REFRESHES,
    }
    return make_settings("embedded", (), [f"{key}={value}" for key, value in changes.items()])


def plan_of(scale: Scale, sampler: str, seed: int) -> RunPlan:
    """The plan of a supernet's training."""
    settings = settings_of(scale, sampler, seed, steps=scale.steps)
    return make_plan(load_space(scale.space), settings, name=f"{sampler}-{seed}")


def sampler_of(plan: RunPlan, sampler: str, seed: int) -> SubnetSampler:
    """A sampler by the study's name of it, its generator seeded by `seed`."""
    if sampler == "uniform+smallest":
        return UniformAndSmallest(plan.space, SUBNETS, np.random.default_rng([seed, 2]))
    if sampler in ("wide levels", "high levels"):
        levels = levels_of(plan.space)
        changed = (
            replace(levels, window=WIDER * levels.window)
            if sampler == "wide levels"
            else replace(levels, macs=levels.macs[LOWEST:], minimum=levels.minimum[LOWEST:])
        )
        return ComplexitySampler(plan.space, changed, SUBNETS, np.random.default_rng([seed, 2]))
    return make_sampler(plan.space, plan.settings.train, seed, 0)


def judges(space: Space) -> list[Judge]:
    """The smallest architecture, and eight of each size; always the same.

    Of each eight, four are drawn as complexity-aware sampling draws at two neighbouring levels, and four uniformly from
    all of the space between the lower of these levels and the end of the higher one's window; these may lie in a
    window, too.
    """
    levels, rng = levels_of(space), np.random.default_rng(0)
    source, nothing = LevelSource(space, levels), np.zeros(len(space.decisions), dtype=np.int16)
    found = [Judge(levels.anchor, "smallest", "levels", _macs(space, levels.anchor))]
    for group, ends in GROUP_LEVELS.items():
        low, high = levels.macs[ends[0]], levels.macs[ends[-1]] + levels.window
        near = [arch for level in ends for arch in source.sample(level, FROM_EACH_LEVEL, rng)]
        anywhere = WindowSampler(space, nothing, high, high - low).sample(FROM_SPACE, low, high, rng)
        found += [Judge(arch, group, "levels", _macs(space, arch)) for arch in near]
        found += [Judge(arch, group, "space", _macs(space, arch)) for arch in anywhere]
    return found


def _macs(space: Space, arch: Arch) -> int:
    return int(cost(space, arch)["macs"][0])
