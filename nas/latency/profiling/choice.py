"""Which units to time next: first spread over the space, then where the predictor is unsure and the space looks.

Nobody times everything: an ElasticViT space has some 3,300 different units, and a network's time needs them to a few
per cent only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from nas.latency.profiling.use import Use
from nas.latency.table import Key, LatencyTable
from nas.latency.times import FloatArray, UnitTimes

LEAST_PER_KIND = 6
_REACH = 0.15  # distance in the unit cube up to which a timed unit speaks for its neighbours
Predict = Callable[[str, "np.typing.NDArray[np.int64]"], UnitTimes]


def spread_out(uses: Mapping[str, Use], known: LatencyTable, count: int) -> list[Key]:
    """Units for a first fit: every kind, its corners, and what networks have most.

    Each kind gets at least six; beyond that shares go by the square root of the number of its units. Within a kind
    the unit farthest from all chosen ones follows, by turns plainly and weighed by its use.

    Args:
        uses: the space's units by kind.
        known: units that need not be timed.
        count: number of these units that should be known in the end, those of `known` included.
    """
    shares = _shares(uses, count)
    chosen = {}
    for kind, use in uses.items():
        at = use.find(known.rows(kind)) if kind in known.kinds else np.zeros(0, dtype=np.int64)
        chosen[kind] = [(kind, _row(use, index)) for index in _farthest(use, at, shares[kind])]
    return _by_turns(chosen)[: max(count - known_units(uses, known), 0)]


def known_units(uses: Mapping[str, Use], known: LatencyTable) -> int:
    """How many of the space's units a table has; it may have other spaces' too."""
    return sum(len(use.find(known.rows(kind))) for kind, use in uses.items() if kind in known.kinds)


def most_useful(uses: Mapping[str, Use], known: LatencyTable, predict: Predict, count: int) -> list[Key]:
    """The units whose times, if known, would make networks' predictions better most, largest first.

    A unit's worth is its use by the space times the width of its 90 % interval in ms; a unit near a timed one is
    worth less, for the fit learns of it already.

    Args:
        uses: the space's units by kind.
        known: units that need not be timed.
        predict: the present predictor.
        count: at most so many.
    """
    candidates: list[tuple[float, Key]] = []
    for kind, use in uses.items():
        at = use.find(known.rows(kind)) if kind in known.kinds else np.zeros(0, dtype=np.int64)
        times = predict(kind, use.rows)
        worth = use.count * np.maximum(times.high - times.low, 0.0)
        for index, value in _greedy(use, at, worth, count):
            candidates.append((value, (kind, _row(use, index))))
    candidates.sort(key=lambda item: (-item[0], item[1]))
    return [key for _, key in candidates[:count]]


def _greedy(
    use: Use, known: np.typing.NDArray[np.int64], worth: FloatArray, count: int
) -> list[tuple[int, float]]:
    """Positions and worth of the best units, each chosen one lowering the worth of its neighbours."""
    points = use.points()
    near = _nearest(points, known)
    free = np.ones(len(points), dtype=bool)
    free[known] = False
    picked: list[tuple[int, float]] = []
    while free.any() and len(picked) < count:
        value = np.where(free, worth * (1 - np.exp(-((near / _REACH) ** 2)) + 1e-9), -1.0)
        best = int(value.argmax())
        picked.append((best, float(value[best])))
        free[best] = False
        near = np.minimum(near, _distance(points, best))
    return picked


def _farthest(use: Use, known: np.typing.NDArray[np.int64], count: int) -> list[int]:
    points, weight = use.points(), np.sqrt(use.count / use.count.max())
    near = _nearest(points, known)
    free = np.ones(len(points), dtype=bool)
    free[known] = False
    picked: list[int] = []
    while free.any() and len(known) + len(picked) < count:
        plain = len(picked) % 2 == 1
        value = np.where(free, near if plain else near * weight, -1.0)
        if not np.isfinite(near).any():
            value = np.where(free, weight, -1.0)
        best = int(value.argmax())
        picked.append(best)
        free[best] = False
        near = np.minimum(near, _distance(points, best))
    return picked


def _shares(uses: Mapping[str, Use], count: int) -> dict[str, int]:
    least = {kind: min(LEAST_PER_KIND, len(use.rows)) for kind, use in uses.items()}
    roots = {kind: float(np.sqrt(len(use.rows))) for kind, use in uses.items()}
    rest = max(count - sum(least.values()), 0) / sum(roots.values())
    return {kind: least[kind] + round(rest * root) for kind, root in roots.items()}


def _by_turns(chosen: Mapping[str, Sequence[Key]]) -> list[Key]:
    """One of each kind after the other, so that any beginning of the list covers all kinds."""
    longest = max((len(keys) for keys in chosen.values()), default=0)
    return [keys[turn] for turn in range(longest) for keys in chosen.values() if turn < len(keys)]


def _nearest(points: FloatArray, known: np.typing.NDArray[np.int64]) -> FloatArray:
    near = np.full(len(points), np.inf)
    for index in known:
        near = np.minimum(near, _distance(points, int(index)))
    return near


def _distance(points: FloatArray, index: int) -> FloatArray:
    return np.asarray(np.sqrt(((points - points[index]) ** 2).mean(axis=1)))


def _row(use: Use, index: int) -> tuple[int, ...]:
    return tuple(int(size) for size in use.rows[index])
