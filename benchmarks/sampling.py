"""Draws per second from each level's window of MACs, and what plain rejection would have to draw.

OMP_NUM_THREADS=2 python benchmarks/sampling.py
"""

from __future__ import annotations

import time

import numpy as np

from nas.costs import cost
from nas.space import load_space
from nas.supernet.sampling.complexity import LevelSource
from nas.supernet.sampling.levels import levels_of

DRAWS, REJECTED = 2_000, 200_000


def main() -> None:
    """Print one line per level."""
    space = load_space("elasticvit")
    levels = levels_of(space)
    start = time.perf_counter()
    source = LevelSource(space, levels)
    print(f"building the chains once: {time.perf_counter() - start:.2f} s")
    uniform = space.sample(REJECTED, seed=1)
    macs = cost(space, uniform)["macs"]
    for index, low in enumerate(levels.macs):
        bound = space.encode([levels.minimum[index]]).codes[0]
        bounded = (uniform.codes >= bound).all(axis=1)
        inside = bounded & (macs >= low) & (macs <= low + levels.window)
        rng = np.random.default_rng(0)
        source.sample(index, 10, rng)
        one = _rate(lambda i=index, g=rng: source.sample(i, DRAWS, g), DRAWS)  # type: ignore[misc]
        five = _rate(lambda i=index, g=rng: [source.sample(i, 5, g) for _ in range(40)], 200)  # type: ignore[misc]
        share = inside.sum() / max(bounded.sum(), 1)
        print(
            f"{low / 1e6:6.0f}M: {one:9,.0f} draws/s in batches of {DRAWS:,}, {five:7,.0f}/s in fives; "
            f"rejection within the bounds accepts {share:.3%}"
        )


def _rate(work: object, count: int) -> float:
    times = []
    for _ in range(3):
        start = time.perf_counter()
        work()  # type: ignore[operator]
        times.append(time.perf_counter() - start)
    return count / sorted(times)[1]


if __name__ == "__main__":
    main()
