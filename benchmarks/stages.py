"""How the cost of starting with a space grows with its stages, and what is saved by tables on disk.

Loading, drawing and costing of chains of stages, each with a width, a kernel, a depth and expansions of its own, in
CPU seconds; the ratio to half as many stages is 2 where the work grows with the stages. Then the first and
the second start with a shipped space and a device: the second finds its tables on disk.

    OMP_NUM_THREADS=2 python benchmarks/stages.py
"""

from __future__ import annotations

import os
import tempfile
import time
from itertools import pairwise
from pathlib import Path

from nas.costs import cost
from nas.costs.counts import counted
from nas.costs.plan import CostPlan
from nas.latency.device import load_device
from nas.space import Space, load_space

STAGES = (30, 60, 120, 240, 480)
BATCH, REPEATS = 1_000, 3
SHIPPED = ("elasticvit", "efficientformer", "efficientformer_v2", "turbovit")
HEAD = "version: 1\nname: chain\ninput: {resolution: 64, classes: 10}\nstages:\n"
FIRST = "  first: {block: conv_stem, stride: 2, width: 8}\n"
KINDS = (
    "  S%d: {block: mbconv, depth: {min: 1, max: 3}, width: [8, 16, 24], kernel: [3, 5], "
    "expansion: {values: [2, 3, 4], per: block}, se: 0}\n",
    "  S%d: {block: conv_ffn, downsample: {block: downsample, kernel: 3, expansion: 2, se: 0}, "
    "depth: {min: 1, max: 3}, width: [8, 16, 24], expansion: {values: [2, 3, 4], per: block}}\n",
)
LAST = "  head: {block: pooled_head, expansion: 2, hidden: 8}\n"


def main() -> None:
    """Print seconds and ratios."""
    with tempfile.TemporaryDirectory() as folder:
        _grow(Path(folder))
        _start(Path(folder))


def _grow(folder: Path) -> None:
    print(f"CPU seconds, best of {REPEATS}; x: to the line above, with half the stages")
    print("stages  decisions   load      draw      plan      cost      in all")
    before: list[float] = []
    for stages in STAGES:
        path = folder / f"{stages}.yaml"
        path.write_text(HEAD + FIRST + "".join(KINDS[i % 2] % i for i in range(stages)) + LAST)
        runs = [_chain(path) for _ in range(REPEATS)]
        best = [min(run[part] for run in runs) for part in range(len(runs[0]))]
        best.append(sum(best))
        line = f"{stages:6} {len(load_space(path).decisions):10}  " + "".join(f"{s:8.3f}  " for s in best)
        print(line + (f" x{best[-1] / before[-1]:.2f}" if before else ""))
        before = best


def _chain(path: Path) -> list[float]:
    """CPU seconds of loading, drawing, planning and costing."""
    times = [time.process_time()]
    space = load_space(path)
    times.append(time.process_time())
    batch = space.sample(BATCH, seed=0)
    times.append(time.process_time())
    plan = CostPlan(space, counted("deploy"))
    times.append(time.process_time())
    plan(batch)
    times.append(time.process_time())
    return [after - start for start, after in pairwise(times)]


def _start(folder: Path) -> None:
    before = os.environ.get("NAS_CACHE")
    os.environ["NAS_CACHE"] = str(folder / "tables")
    try:
        print("space                 first start  with tables on disk   (s, MACs and latency of 10 archs)")
        for name in SHIPPED:
            first, second = (_tables(load_space(name)) for _ in range(2))
            print(f"{name:20} {first:12.3f} {second:20.3f}   x{first / second:.0f}")
    finally:
        os.environ.pop("NAS_CACHE") if before is None else os.environ.update(NAS_CACHE=before)


def _tables(space: Space) -> float:
    device, batch = load_device("pixel6"), space.sample(10, seed=0)
    start = time.perf_counter()
    cost(space, batch), device.latency(space, batch)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
