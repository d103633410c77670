"""Time to find the non-dominated of many 3-objective points, beside the usual numpy loop and moocore.

    python benchmarks/pareto.py [--points 1000000]

The loop is the one commonly used in numpy (keep what no current front point dominates, one front
point after another); moocore is a C library, compared where it is installed. Where one of them
needs too long it runs on the first points only, as stated.
"""

from __future__ import annotations

import argparse
import importlib.util
import time
from collections.abc import Callable

import numpy as np

from nas.search.pareto import constrained_ranks, hypervolume, merge_front, non_dominated

LOOP_WORK = 4e9  # point comparisons the loop is given before it runs on fewer points
DIRECTIONS = ("min", "min", "min")


def clouds(n: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Point sets from a tiny front to one on which every point is non-dominated."""
    shell = np.abs(rng.normal(size=(n, 3)))
    shell /= np.linalg.norm(shell, axis=1, keepdims=True)
    search = np.c_[rng.normal(size=n), rng.normal(size=n), np.round(rng.random(n), 3)]
    search[:, 1] -= 2 * search[:, 0]
    return {
        "uniform cube": rng.random((n, 3)),
        "conflicting objectives": search,
        "thick shell": -shell * rng.uniform(0.99, 1.0, size=(n, 1)),
        "shell (all on the front)": -shell,
    }


def numpy_loop(points: np.ndarray) -> np.ndarray:
    """The usual loop: O(front · n)."""
    rows = np.arange(len(points))
    at = 0
    while at < len(points):
        keep = (points < points[at]).any(axis=1)
        keep[at] = True
        rows, points = rows[keep], points[keep]
        at = int(keep[:at].sum()) + 1
    return rows


def timed(function: Callable[[], object]) -> tuple[float, object]:
    """Seconds of the best of three calls, and what it returned."""
    times, result = [], None
    for _ in range(3):
        start = time.perf_counter()
        result = function()
        times.append(time.perf_counter() - start)
        if times[0] > 5:
            break
    return min(times), result


def compare(name: str, points: np.ndarray) -> None:
    """One line for each method on one point set."""
    ours, mask = timed(lambda: non_dominated(points, DIRECTIONS))
    front = int(np.count_nonzero(mask))
    print(f"{name}: {len(points):,} points, {front:,} on the front: {ours:.3f} s")
    part = points[
        : min(len(points), int(LOOP_WORK / max(front, 1)), 200_000 if front > 10_000 else len(points))
    ]
    seconds, rows = timed(lambda: numpy_loop(part))
    own, own_mask = timed(lambda: non_dominated(part, DIRECTIONS))
    agree = np.array_equal(np.sort(rows), np.flatnonzero(own_mask))
    print(
        f"  numpy loop on {len(part):,}: {seconds:.3f} s, {seconds / own:.1f}x our {own:.3f} s"
        f" ({'same front' if agree else 'DIFFERENT FRONT'})"
    )
    if importlib.util.find_spec("moocore"):
        import moocore

        seconds, theirs = timed(lambda: moocore.is_nondominated(points, keep_weakly=True))
        agree = np.array_equal(theirs, mask)
        print(
            f"  moocore {moocore.__version__}: {seconds:.3f} s, {seconds / ours:.2f}x ours"
            f" ({'same front' if agree else 'DIFFERENT FRONT'})"
        )


def small_operations(rng: np.random.Generator) -> None:
    """What a search does in every generation."""
    shell = np.abs(rng.normal(size=(2000, 3)))
    shell = -shell / np.linalg.norm(shell, axis=1, keepdims=True)
    population = rng.random((400, 3))
    violations = np.maximum(rng.normal(size=400), 0)
    merge, _ = timed(lambda: merge_front(shell, -np.abs(rng.random((100, 3))), DIRECTIONS))
    volume, _ = timed(lambda: hypervolume(shell, (0, 0, 0), DIRECTIONS))
    ranks, _ = timed(lambda: constrained_ranks(population, violations, DIRECTIONS))
    print(f"merge 100 into a front of 2,000: {merge * 1e3:.2f} ms")
    print(f"hypervolume of 2,000: {volume * 1e3:.2f} ms")
    print(f"constrained ranks of 400: {ranks * 1e3:.2f} ms")


def main() -> None:
    """Run every comparison and print its ratios."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--points", type=int, default=1_000_000)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    for name, points in clouds(arguments.points, rng).items():
        compare(name, points)
    small_operations(rng)


if __name__ == "__main__":
    main()
