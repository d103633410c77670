"""A tiny space, data for it and a trainer, for the tests of this package."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nas.settings import TrainSettings
from nas.space import Space, load_space
from nas.supernet.checkpoint import Checkpointer
from nas.supernet.parallel import Group
from nas.supernet.sampling.complexity import BankSettings, ComplexitySampler
from nas.supernet.sampling.levels import levels_of
from nas.supernet.supernet import Supernet
from nas.supernet.trainer import Trainer

TINY = """
version: 1
name: tiny
input: {resolution: [16, 24], classes: 4}
stages:
  first: {block: conv_stem, stride: 2, width: 8}
  A: {block: mbconv, stride: 2, depth: [1, 2], width: [8, 16], kernel: [3, 5], expansion: [2, 3], se: 1}
  T:
    block: transformer
    stride: 2
    downsample: {block: downsample, expansion: 2}
    depth: [1, 2]
    width: [16, 24, 32]
    heads: width / 8
    qk_dim: 4
    mlp_ratio: [1, 2]
    v_scale: [1, 2]
  head: {block: pooled_head, expansion: 2, hidden: 16}
rules: [A.width <= T.width]
"""


def tiny(folder: Path) -> Space:
    """Two stages, 16 px."""
    path = folder / "tiny.yaml"
    path.write_text(TINY)
    return load_space(path)


def shaken(space: Space, classes: int | None = None, scale: float = 1.0) -> Supernet:
    """A float64 supernet with every weight and statistic moved away from its start."""
    net = Supernet(space, classes, resolution_scale=scale).double().eval()
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for name, tensor in net.state_dict().items():
            noise = torch.rand(tensor.shape, generator=generator, dtype=torch.float64)
            tensor.add_(noise if name.endswith("_var") else 0.2 * (noise - 0.5))
    return net


class Images:
    """Random images and labels as a function of the step; NaN at the steps in `broken`."""

    classes = 4

    def __init__(self, broken: tuple[int, ...] = ()) -> None:
        self.broken = broken

    def batch(self, step: int, strength: float = 1.0) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(step)
        labels = torch.randint(4, (8,), generator=generator)
        images = torch.randn(8, 3, 16, 16, generator=generator) + labels[:, None, None, None]
        return (images * float("nan") if step in self.broken else images), labels

    def steps_per_epoch(self) -> int:
        return 4


SETTINGS = TrainSettings(
    steps=12, batch=8, lr=3e-3, lr_scaling="none", warmup=0.1, ema=0.9, ema_warmup=True, mix=0.2,
    label_smoothing=0.1, checkpoint_every=4, conflict_every=3, precision="fp32",
)  # fmt: skip


def trainer(
    space: Space,
    folder: Path,
    images: Images,
    settings: TrainSettings = SETTINGS,
    group: Group | None = None,
    dtype: torch.dtype = torch.float32,
) -> Trainer:
    """A trainer with small banks."""
    sampler = ComplexitySampler(
        space,
        levels_of(space),
        4,
        np.random.default_rng(1),
        banks=BankSettings(4, 2, refreshes=3, partial_refreshes=6),
    )
    net = Supernet(space, 4, seed=0).to(dtype)
    return Trainer(net, images, settings, sampler, seed=3, folder=Checkpointer(folder), group=group)
