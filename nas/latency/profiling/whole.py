"""Which whole networks to time: by turns a random one, and one from an even spread over the sizes there are.

Uniform draws are of middling size nearly always, and what does not add up in a network of 4 ms is not what does not
add up in one of 30 ms.
"""

from __future__ import annotations

import numpy as np

from nas.costs.counts import cost
from nas.space.batch import Arch, ArchBatch, concatenate
from nas.space.space import Space

_DRAWS = 4000


def spread_networks(space: Space, count: int, seed: int) -> list[Arch]:
    """`count` different networks of the space; any beginning of the list is spread as well as it can be.

    Args:
        space: with a network behind it.
        count: at most so many.
        seed: of the draws; the same networks for the same seed and count.
    """
    if count == 0:
        return []
    rng = np.random.default_rng(seed)
    candidates = _candidates(space, rng)
    size = np.log(cost(space, candidates)["macs"])
    free = np.ones(len(candidates), dtype=bool)
    order = [int(index) for index in rng.permutation(min(_DRAWS, len(candidates)))]
    marks = np.linspace(size.min(), size.max(), max(count // 2, 2))[_from_the_ends(max(count // 2, 2))]
    chosen: list[int] = []
    while len(chosen) < min(count, len(candidates)):
        if len(chosen) % 2 or len(chosen) // 2 >= len(marks):
            best = next((index for index in order if free[index]), int(free.argmax()))
        else:
            best = int(np.where(free, np.abs(size - marks[len(chosen) // 2]), np.inf).argmin())
        chosen.append(best)
        free[best] = False
    return list(candidates[chosen])


def _candidates(space: Space, rng: np.random.Generator) -> ArchBatch:
    """Uniform draws, and draws pulled towards the first and the last values of all decisions."""
    uniform = space.sample(_DRAWS, rng=rng)
    last = np.array([len(decision) - 1 for decision in space.decisions])
    pull = rng.random((2, _DRAWS, 1))
    small = np.floor(uniform.codes * pull[0])
    large = last - np.floor((last - uniform.codes) * pull[1])
    pulled = [space.repair(ArchBatch(space, codes.astype(np.int16))) for codes in (small, large)]
    return concatenate([uniform, *pulled]).unique()


def _from_the_ends(count: int) -> list[int]:
    """Positions 0 … count-1: the ends, the middle, then the middles of what is left."""
    found = [0, count - 1][:count]
    step = float(count - 1)
    while len(found) < count:
        step = max(step / 2, 0.5)
        for place in np.arange(0, count - 1 + 1e-9, step):
            if round(place) not in found:
                found.append(round(place))
    return found
