"""Forward and backward of one subnet beside its static model, interleaved; paired medians.

    OMP_NUM_THREADS=2 python -u benchmarks/supernet.py

The first ratio has both models allocate their gradients; the second has the subnet add to gradients that are
there already, as the later subnets of a step do. On a busy machine two threads wait for each other at every
small kernel: use OMP_NUM_THREADS=1 there.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import torch

from nas.space import load_space
from nas.supernet.clipping import clip_adaptively
from nas.supernet.optim import adamw
from nas.supernet.supernet import Supernet


def main() -> None:
    """Print both scales."""
    _compare("embedded: 64 images at 24 px", resolution=24, scale=0.125, batch=64, pairs=30)
    _compare("S1 at 224 px, 32 images", resolution=224, scale=224 / 192, batch=32, pairs=5)


def _compare(title: str, resolution: int, scale: float, batch: int, pairs: int) -> None:
    space = load_space("elasticvit")
    arch = space.presets["S1"]
    net = Supernet(space, 10 if scale < 1 else 1000, resolution_scale=scale).train()
    static = net.extract(arch).train()
    images = torch.randn(batch, 3, resolution, resolution).contiguous(memory_format=torch.channels_last)
    optimizer = adamw(net.parameters(), lr=1e-3, weight_decay=0.05)
    for _ in range(2):
        _time(lambda: net(images, arch).sum().backward())
        _time(lambda: static(images).sum().backward())
    shared, alone, first, step, clip = [], [], [], [], []
    for _ in range(pairs):
        net.zero_grad(set_to_none=True)
        static.zero_grad(set_to_none=True)
        first.append(_time(lambda: net(images, arch).sum().backward()))
        static_time = _time(lambda: static(images).sum().backward())
        second = _time(lambda: net(images, arch).sum().backward())
        alone.append(static_time)
        shared.append(second)
        clip.append(_time(lambda: clip_adaptively(list(net.parameters()), 0.1)))
        step.append(_time(optimizer.step))
    ratio = median(a / b for a, b in zip(shared, alone, strict=True))
    fresh = median(a / b for a, b in zip(first, alone, strict=True))
    print(f"{title}: static {median(alone) * 1e3:.1f} ms, subnet {median(first) * 1e3:.1f} ms: {fresh:.3f}x")
    print(f"  adding to gradients that are there: {median(shared) * 1e3:.1f} ms: {ratio:.3f}x")
    print(
        f"  per step beside it: clipping {median(clip) * 1e3:.1f} ms, optimiser {median(step) * 1e3:.1f} ms"
    )


def _time(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
