"""Published test problems on integers: ZDT1 and DTLZ2, whose true fronts are formulas.

Sources: Zitzler, Deb, Thiele, "Comparison of multiobjective evolutionary algorithms: empirical results" (2000), ZDT1;
Deb, Thiele, Laumanns, Zitzler, "Scalable multi-objective optimization test problems" (2002), DTLZ2.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from benchmarks.search.task import Floats, Task, space_of, with_front
from nas.space import ArchBatch

Ints = NDArray[np.int64]
SIZES, LEVELS = 30, 32
"""Of ZDT1: the published number of variables, and so many levels of each that 2,000 evaluations see few of them."""
SPHERE_SIZES, SPHERE_LEVELS = 12, 33
"""Of DTLZ2: the published number of variables for three objectives; with an odd number of levels one is the middle."""
ZDT1_REFERENCE = (1.1, 11.0)
DTLZ2_REFERENCE = (2.0, 2.0, 2.0)


def zdt1() -> Task:
    """ZDT1 as published, each variable on 32 levels; the optimum of 29 of them is the first level."""
    return _zdt1("zdt1", _ordered(SIZES, LEVELS), lambda codes: codes)


def zdt1_shifted() -> Task:
    """ZDT1, the optimum of the 29 variables at a level of the middle half, drawn once for each."""
    best = np.random.default_rng(0).integers(LEVELS // 4, 3 * LEVELS // 4, size=SIZES)
    best[0] = 0
    return _zdt1("zdt1-shifted", _ordered(SIZES, LEVELS), lambda codes: np.abs(codes - best))


def zdt1_shuffled() -> Task:
    """ZDT1, the levels of each variable in an order drawn once, and declared categorical."""
    rng = np.random.default_rng(0)
    order = np.stack([rng.permutation(LEVELS) for _ in range(SIZES)])
    words = ", ".join(f"v{level:02d}" for level in range(LEVELS))
    decisions = {f"x{index:02d}": f"[{words}]" for index in range(SIZES)}
    return _zdt1("zdt1-shuffled", decisions, lambda codes: order[np.arange(SIZES), codes])


def dtlz2() -> Task:
    """DTLZ2 with three objectives, each variable on 33 levels."""
    task = Task(
        "dtlz2",
        space_of("dtlz2", _ordered(SPHERE_SIZES, SPHERE_LEVELS)),
        ("min", "min", "min"),
        lambda batch: dtlz2_values(batch.codes / (SPHERE_LEVELS - 1)),
        (False, False, False),
        DTLZ2_REFERENCE,
        1.0,
    )
    return with_front(task, dtlz2_front())


def zdt1_values(x: Floats) -> Floats:
    """Both objectives, to be minimized, of variables within 0 and 1, `(n, 2)` of `(n, variables)`."""
    first, g = x[:, 0], 1 + 9 * x[:, 1:].sum(axis=1) / (x.shape[1] - 1)
    return np.stack([first, g * (1 - np.sqrt(first / g))], axis=1)


def zdt1_front() -> Floats:
    """The true front: all levels of the first variable, all others at their optimum."""
    first = np.arange(LEVELS) / (LEVELS - 1)
    return np.stack([first, 1 - np.sqrt(first)], axis=1)


def dtlz2_values(x: Floats) -> Floats:
    """The three objectives, to be minimized, of variables within 0 and 1, `(n, 3)` of `(n, variables)`."""
    radius = 1 + ((x[:, 2:] - 0.5) ** 2).sum(axis=1)
    return np.asarray(radius[:, None] * _directions(x[:, 0] * np.pi / 2, x[:, 1] * np.pi / 2))


def dtlz2_front() -> Floats:
    """The true front: all levels of the first two variables, all others in the middle."""
    angles = np.arange(SPHERE_LEVELS) / (SPHERE_LEVELS - 1) * np.pi / 2
    a, b = (grid.ravel() for grid in np.meshgrid(angles, angles))
    return _directions(a, b)


def _directions(a: Floats, b: Floats) -> Floats:
    return np.stack([np.cos(a) * np.cos(b), np.cos(a) * np.sin(b), np.sin(a)], axis=1)


def _zdt1(name: str, decisions: dict[str, str], level: Callable[[Ints], Ints]) -> Task:
    def values(batch: ArchBatch) -> Floats:
        return zdt1_values(level(batch.codes.astype(np.int64)) / (LEVELS - 1))

    space = space_of(name, decisions)
    return with_front(
        Task(name, space, ("min", "min"), values, (False, False), ZDT1_REFERENCE, 1.0), zdt1_front()
    )


def _ordered(sizes: int, levels: int) -> dict[str, str]:
    return {f"x{index:02d}": f"{{min: 0, max: {levels - 1}, step: 1}}" for index in range(sizes)}
