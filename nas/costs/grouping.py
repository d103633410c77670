"""Which slots are tabulated together: few groups of decisions that cover every slot's own."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import prod

MAX_ROWS = 65_536
TOTAL_ROWS = 4_194_304
WINDOW = 64
Deps = tuple[int, ...]


class ByRarest:
    """Sets of decisions, each listed under that of its decisions which the fewest of them have.

    What lies inside a given set is then looked for under the members of this set alone, and a decision that all
    share, such as the resolution, makes no list long.
    """

    def __init__(self, sets: Sequence[Iterable[int]]) -> None:
        self._sets = [frozenset(each) for each in sets]
        shared: dict[int, int] = {}
        for each in self._sets:
            for decision in each:
                shared[decision] = shared.get(decision, 0) + 1
        self._shared = shared
        self._lists: dict[int, list[int]] = {}
        for position in range(len(self._sets)):
            self._list(position)

    def _list(self, position: int) -> None:
        each = self._sets[position]
        if each:
            rarest = min(each, key=lambda decision: (self._shared.get(decision, 0), decision))
            self._lists.setdefault(rarest, []).append(position)

    def add(self, each: frozenset[int]) -> None:
        """One more set, behind the others."""
        self._sets.append(each)
        self._list(len(self._sets) - 1)

    def inside(self, other: Iterable[int]) -> Iterator[int]:
        """Positions of the sets, not empty, that lie inside `other`."""
        other = frozenset(other)
        for decision in other:
            yield from [i for i in self._lists.get(decision, ()) if self._sets[i] <= other]


def merge(
    dependent: Sequence[Deps], sizes: Sequence[int], limit: int | None = None, window: int | None = None
) -> list[Deps]:
    """Few groups of decisions, each within `limit` combinations, such that every slot fits in one.

    The two groups with the fewest combinations together are joined, as long as the limit allows. Of many groups,
    only those at most `window` places apart in the order of their decisions are compared.

    Args:
        dependent: decisions of each slot; one with more combinations than `limit` becomes a group of its own.
        sizes: number of values of each decision.
        limit: combinations of a group; by default `MAX_ROWS`, fewer where there are many groups, so that the
            tables of a space of hundreds of stages stay within `TOTAL_ROWS`.
        window: by default `WINDOW`.
    """

    def rows(deps: frozenset[int]) -> int:
        return prod(sizes[d] for d in deps)

    groups, window = [frozenset(deps) for deps in dict.fromkeys(dependent)], window or WINDOW
    most = MAX_ROWS if limit is None else limit
    inner = ByRarest(groups)
    small = [group for group in groups if rows(group) <= most]
    covered = {i for group in small for i in inner.inside(group) if groups[i] < group}
    if any(groups):
        covered |= {i for i, group in enumerate(groups) if not group}
    groups = sorted((g for i, g in enumerate(groups) if i not in covered), key=sorted)
    if limit is None and groups:
        most = min(most, max(TOTAL_ROWS // len(groups), 1))
    before = len(groups) + 1
    while len(groups) < before:
        before = len(groups)
        groups = _Merging(groups, sizes, most, window).run()
    return [tuple(sorted(group)) for group in groups]


class _Merging:
    """One pass of joining neighbours, by the number of combinations of each pair, smallest first."""

    def __init__(
        self, groups: Sequence[frozenset[int]], sizes: Sequence[int], limit: int, window: int
    ) -> None:
        self.groups: dict[int, frozenset[int]] = dict(enumerate(groups))
        self.sizes, self.limit, self.window = sizes, limit, window
        self.after = {i: i + 1 for i in range(-1, len(groups))}
        self.before = {i: i - 1 for i in range(len(groups) + 1)}
        self.end, self.serial = len(groups), len(groups) + 1
        self.serials = list(range(len(groups)))
        self.index = ByRarest(groups)
        self.heap: list[tuple[int, int, int]] = []
        for i in range(len(groups)):
            self._compare(i, self._neighbors(i, self.before, -1))

    def run(self) -> list[frozenset[int]]:
        """The groups that are left, in the order in which they were made."""
        while self.heap:
            _, i, j = heapq.heappop(self.heap)
            if i in self.groups and j in self.groups:
                self._join(i, j)
        return list(self.groups.values())

    def _join(self, i: int, j: int) -> None:
        joined, new = self.groups[i] | self.groups[j], self.serial
        self.serial += 1
        place = self.before[j]
        inside = [self.serials[position] for position in self.index.inside(joined)]
        for gone in [serial for serial in inside if serial in self.groups]:
            if place == gone:
                place = self.before[gone]
            self._unlink(gone)
        self.groups[new] = joined
        self.index.add(joined)
        self.serials.append(new)
        follower = self.after[place]
        self.after[place], self.before[new] = new, place
        self.after[new], self.before[follower] = follower, new
        self._compare(new, self._neighbors(new, self.before, -1))
        self._compare(new, self._neighbors(new, self.after, self.end))

    def _unlink(self, gone: int) -> None:
        del self.groups[gone]
        before, after = self.before.pop(gone), self.after.pop(gone)
        self.after[before], self.before[after] = after, before

    def _neighbors(self, i: int, step: Mapping[int, int], end: int) -> Iterator[int]:
        for _ in range(self.window):
            i = step[i]
            if i == end:
                return
            yield i

    def _compare(self, i: int, others: Iterable[int]) -> None:
        for j in others:
            rows = prod(self.sizes[d] for d in self.groups[i] | self.groups[j])
            if rows <= self.limit:
                heapq.heappush(self.heap, (rows, max(i, j), min(i, j)))


def homes(dependent: Sequence[Deps], groups: Sequence[Deps]) -> dict[Deps, int]:
    """Position of the first group that covers each slot's decisions."""
    containing: dict[int, list[int]] = {}
    for position, group in enumerate(groups):
        for decision in group:
            containing.setdefault(decision, []).append(position)
    sets = [frozenset(group) for group in groups]
    home: dict[Deps, int] = {}
    for deps in dict.fromkeys(dependent):
        near = min((containing[d] for d in deps), key=len, default=range(len(groups)))
        home[deps] = next(i for i in near if sets[i].issuperset(deps))
    return home
