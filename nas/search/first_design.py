"""Which architectures to evaluate first: spread over the costs, and as different as a linear model needs them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nas.space.batch import ArchBatch
from nas.space.space import Space

Floats = NDArray[np.float64]

NOISE = 0.1
"""Variance of noise beside that of one decision's effects that designs are made for; they hardly depend on it."""


def leveled(space: Space, n: int, rng: np.random.Generator) -> ArchBatch:
    """`n` draws between the smallest and the largest architecture, evenly spread over how large they are.

    Each has a level from 0 to 1; its ordinal decisions are binomial draws around that share of their range, the
    others uniform.
    """

    from scipy.special import gammaln

    def chances(variable: int, codes: NDArray[np.int16]) -> Floats:
        decision = space.decisions[variable]
        if decision.kind != "ordinal":
            return np.ones(len(decision))
        level = ((np.arange(len(codes)) + 0.5) / len(codes))[:, None]
        k, top = np.arange(len(decision))[None, :], len(decision) - 1
        ways = gammaln(top + 1) - gammaln(k + 1) - gammaln(top - k + 1)
        return np.asarray(np.exp(ways + k * np.log(level) + (top - k) * np.log1p(-level)))

    return space.sample_by(n, chances, rng)


def informative(features: Floats, costs: Floats, n: int, known: Floats) -> NDArray[np.intp]:
    """At most `n` rows: in each of as many parts of the range of costs, the one that least is known about.

    Args:
        features: of a linear model, scaled so that coefficients have about equal variances, `(m, f)`.
        costs: positive, `(m,)`.
        known: features of what was evaluated, `(k, f)`.
    """
    spread = np.linalg.inv(known.T @ known / NOISE + np.eye(features.shape[1]))
    unsure = np.einsum("ij,jk,ik->i", features, spread, features)
    ends = np.log(costs.min()), np.log(costs.max())
    part = np.minimum(np.log(costs / costs.min()) / max(ends[1] - ends[0], 1e-12) * n, n - 1).astype(np.int64)
    chosen: list[int] = []
    free = np.ones(len(features), dtype=bool)
    for stratum in halved(n):
        inside = np.flatnonzero(free & (part == stratum))
        rows = inside if len(inside) else np.flatnonzero(free)
        if not len(rows):
            break
        row = int(rows[unsure[rows].argmax()])
        chosen.append(row)
        free[row] = False
        gain = spread @ features[row] / np.sqrt(NOISE + unsure[row])
        spread = spread - np.outer(gain, gain)
        unsure = unsure - (features @ gain) ** 2
    return np.array(chosen, dtype=np.intp)


def singles(reference: ArchBatch) -> ArchBatch:
    """A reference and each replacement of one decision's value that leaves it valid, none twice."""
    space, codes = reference.space, reference.codes
    rows = [codes]
    for index, decision in enumerate(space.decisions):
        others = np.setdiff1d(np.arange(len(decision)), codes[0, index])
        changed = np.repeat(codes, len(others), axis=0)
        changed[:, index] = others
        rows.append(changed)
    every = space.decode(np.concatenate(rows)).unique()
    return every[np.flatnonzero(space.valid(every))]


def halved(n: int) -> list[int]:
    """0 to n - 1 in an order that spreads the first few of them: the ends, then halves, quarters and so on."""
    order, step = [0, n - 1], float(n - 1)
    while len(dict.fromkeys(order)) < n:
        step /= 2
        order += [round(step * k) for k in range(1, int((n - 1) / step) + 1)]
    return list(dict.fromkeys(k for k in order if 0 <= k < n))
