"""The same measurements in this checkout and in another, in turn; ratios of CPU time.

Every measurement is a process of its own that imports one of the two checkouts, so that neither warms the other. The
two take turns, and which goes first changes from round to round. CPU time, with one thread: other
work on the machine counts little. A ratio above 1 says that this checkout takes longer.

    python benchmarks/against.py OTHER_CHECKOUT [--rounds 5] [--only step]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

BATCH, REPEATS, STEPS = 200_000, 5, 6
SPACES = {"elasticvit": 256, "efficientformer_v2": 224}
"""Their largest resolutions."""
Measure = Callable[[], float]


def main() -> None:
    """Print a line for each measurement."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("other", nargs="?", type=Path, help="path of the other checkout")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="measurements whose name contains this")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        print(json.dumps(measures()[given.measure]()))
    elif given.other is None or not (given.other / "nas").is_dir():
        parser.error("give the path of another checkout, a folder with 'nas' in it")
    else:
        _compare(given.other.resolve(), given.rounds, given.only)


def _compare(other: Path, rounds: int, only: str) -> None:
    here = Path(__file__).resolve().parents[1]
    print(f"{'CPU seconds, medians of ' + str(rounds):44}{'here':>10}{'other':>10}   ratio (lowest, highest)")
    for name in measures():
        if only not in name:
            continue
        times: dict[Path, list[float]] = {here: [], other: []}
        for index in range(rounds):
            for checkout in (here, other) if index % 2 else (other, here):
                times[checkout].append(_run(checkout, name))
        ratios = sorted(a / b for a, b in zip(times[here], times[other], strict=True))
        ours, theirs = median(times[here]), median(times[other])
        print(
            f"{name:44}{ours:10.4f}{theirs:10.4f}   {ours / theirs:.3f} ({ratios[0]:.3f}, {ratios[-1]:.3f})",
            flush=True,
        )


def _run(checkout: Path, name: str) -> float:
    """What a measurement says in a process of a checkout."""
    environment = {**os.environ, "PYTHONPATH": str(checkout), "NAS_CACHE": "off", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(Path(__file__).resolve()), "--measure", name]
    done = subprocess.run(
        command, env=environment, cwd=checkout, stdout=subprocess.PIPE, text=True, check=True
    )
    return float(json.loads(done.stdout.splitlines()[-1]))


def measures() -> dict[str, Measure]:
    """Every measurement by name; each is the median CPU seconds of its work."""
    every: dict[str, Measure] = {}
    for space, side in SPACES.items():
        every |= {
            f"plan, cold: {space}": partial(_plan, space),
            f"cost of {BATCH:,} archs: {space}": partial(_costs, space),
            f"step, embedded: {space}": partial(_step, space, 0.125, 32),
            f"step, 64 px: {space}": partial(_step, space, 64 / side, 16),
            f"extraction: {space}": partial(_extraction, space),
        }
    return every


def _spent(work: Callable[[], object], repeats: int) -> float:
    """Median CPU seconds of the process."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return median(times)


def _plan(name: str) -> float:
    from nas.costs import cost
    from nas.space import load_space

    space = load_space(name)
    few = space.sample(10, seed=0)
    return _spent(lambda: cost(space, few), 1)


def _costs(name: str) -> float:
    from nas.costs import cost
    from nas.space import load_space

    space = load_space(name)
    batch = space.sample(BATCH, seed=0)
    cost(space, batch[:10])
    return _spent(lambda: cost(space, batch), REPEATS)


def _step(name: str, scale: float, images: int) -> float:
    """An optimiser's step of three subnets, new ones in every step, as a trainer makes it."""
    import torch

    from nas.space import load_space
    from nas.supernet.clipping import clip_adaptively
    from nas.supernet.optim import adamw
    from nas.supernet.supernet import Supernet

    torch.set_num_threads(1)
    space = load_space(name)
    net = Supernet(space, 10, resolution_scale=scale).train()
    weights = list(net.parameters())
    optimizer = adamw(weights, lr=1e-3, weight_decay=0.05)
    archs = iter(space.sample(3 * (STEPS + 2), seed=0)[index] for index in range(3 * (STEPS + 2)))
    batch = torch.randn(images, 3, 32, 32).contiguous(memory_format=torch.channels_last)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        for _ in range(3):
            net(batch, next(archs)).sum().backward()
        clip_adaptively(weights, 0.1)
        optimizer.step()

    step(), step()
    return _spent(step, STEPS)


def _extraction(name: str) -> float:
    from nas.space import load_space
    from nas.supernet.supernet import Supernet

    space = load_space(name)
    net = Supernet(space, 10, resolution_scale=0.125)
    archs = iter(space.sample(4 * REPEATS, seed=0)[index] for index in range(4 * REPEATS))
    return _spent(lambda: [net.extract(next(archs)) for _ in range(4)], REPEATS)


if __name__ == "__main__":
    main()
