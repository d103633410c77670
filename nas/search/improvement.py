"""Which candidates improve a front most: expected hypervolume improvement of independent normal values.

The hypervolume that a candidate adds is expected to be the integral, over the box that the front leaves free, of the
probability that the candidate dominates a point; with independent objectives this is a product of normal distribution
functions, a step where an objective is exact. The integral is a mean over quasi-random points, so any number of
objectives is possible. A batch is chosen greedily: each point counts with the probability that none of those chosen
before dominates it.

Source: Emmerich, Giannakoglou and Naujoks, "Single- and multiobjective evolutionary optimization assisted by Gaussian
random field metamodels" (2006); the greedy batch as in Daulton, Balandat and Bakshy (2020, arXiv 2006.05078), with
independent outcomes in place of joint ones.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr
from scipy.stats import qmc

from nas.search.pareto import non_dominated

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

DRAWN, KEPT = 2**14, 2_048
"""Points drawn in the box, and those of them, not dominated by the front, that are used at most."""
BEYOND = 0.05
"""How far the box reaches beyond the worst point of the front, of its side: its ends can be improved, too."""


def improving(
    mean: Floats,
    std: Floats,
    front: Floats,
    n: int,
    rng: np.random.Generator,
    chance: Floats | None = None,
) -> Ints:
    """Rows of `n` candidates that together promise most, best first; fewer where no other promises anything.

    Args:
        mean, std: of the candidates' objectives, all to be minimized, `(k, m)`; std 0 where a value is exact.
        front: objectives of what is known, `(f, m)`.
        rng: of the quasi-random points.
        chance: probability that each candidate is feasible, `(k,)`; what is not improves nothing.
    """
    points = _free(mean, std, front, rng)
    if not len(points):
        return np.zeros(0, dtype=np.int64)
    chances = _dominating(mean, std, points)
    if chance is not None:
        chances *= chance[:, None]
    weights, chosen = np.ones(len(points)), []
    for _ in range(min(n, len(mean))):
        gains = chances @ weights
        best = int(gains.argmax())
        if gains[best] <= 0:
            break
        chosen.append(best)
        weights = weights * (1 - chances[best])
        chances[best] = 0.0
    return np.array(chosen, dtype=np.int64)


def _free(mean: Floats, std: Floats, front: Floats, rng: np.random.Generator) -> Floats:
    """Points of the box that the front does not dominate, `(k, m)`."""
    likely = mean[non_dominated(mean, ["min"] * mean.shape[1])]
    low = np.concatenate([mean - 2 * std, front]).min(axis=0)
    high = np.concatenate([front, likely]).max(axis=0)
    side = np.where(high > low, high - low, 1.0)
    own = np.random.default_rng(
        int(rng.integers(2**31))
    )  # Sobol spawns of what it is given: no state says how often
    sobol = qmc.Sobol(mean.shape[1], rng=own)
    points = low + sobol.random(DRAWN) * side * (1 + BEYOND)
    return points[~_beaten(points, front)][:KEPT]


def _beaten(points: Floats, front: Floats) -> NDArray[np.bool_]:
    """Which points some point of a front is no worse than in every objective, `(k,)`."""
    edge = np.unique(front[non_dominated(front, ["min"] * front.shape[1])], axis=0)
    beaten = np.zeros(len(points), dtype=np.bool_)
    for point in edge:
        rest = np.flatnonzero(~beaten)
        beaten[rest] = (points[rest] >= point).all(axis=1)
    return beaten


def _dominating(mean: Floats, std: Floats, points: Floats) -> Floats:
    """Probability that each candidate is no worse than each point, `(n, k)`."""
    chances = np.ones((len(mean), len(points)))
    for j in range(mean.shape[1]):
        apart = points[None, :, j] - mean[:, None, j]
        exact = std[:, j] <= 0
        chances[exact] *= apart[exact] >= 0
        chances[~exact] *= ndtr(apart[~exact] / std[~exact, j][:, None])
    return chances
