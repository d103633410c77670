"""Under which conditions a choice has an effect, so that equal networks have one form.

A field of a stage matters where a block that takes it stands, or where a field that is derived from it
matters. Conditions are expressions over other decisions; None means always.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from nas.space.expression import Expression
from nas.space.stage import Chosen, Const, Each, Suffix

Condition = str | None
NEVER = "0 == 1"


@dataclass(frozen=True)
class Users:
    """Where the blocks of a part stand.

    Attributes:
        stage: whose depth counts.
        min_depth: blocks that are always there.
        strided: whether the stage's first block has a stride.
        part, chosen, names, depth: the part, its choice of block, all its block names, and its positions.
    """

    stage: str
    min_depth: int
    strided: bool = False
    part: str = ""
    chosen: Const | Each | Chosen | Suffix | None = None
    names: tuple[str, ...] = ()
    depth: int = 1

    def choosing(
        self, part: str, chosen: Const | Each | Chosen | Suffix, names: Sequence[str], depth: int
    ) -> Users:
        """The same stage, with a part's choice of block."""
        return replace(self, part=part, chosen=chosen, names=tuple(names), depth=depth)

    def condition(
        self, takers: Sequence[str], position: int | None = None, strides: bool = True
    ) -> Condition:
        """Whether a block of `takers` stands at `position`, or anywhere for None.

        Args:
            strides: whether a block with a stride counts.
        """
        first = 1 if self.strided and not strides else 0
        place = first if position is None else position
        if not first <= place < self.depth:
            return NEVER
        there = self._there(place)
        taken = None if len(takers) == len(self.names) else self._taken(takers, position)
        return " and ".join(f"({part})" for part in (there, taken) if part) or None

    def _there(self, position: int) -> Condition:
        return f"{self.stage}.depth > {position}" if position >= self.min_depth else None

    def _taken(self, takers: Sequence[str], position: int | None) -> Condition:
        match self.chosen:
            case Const() | None:
                return None
            case Each(values=values):
                return self._at_places([p for p, name in enumerate(values) if name in takers], position)
            case Suffix(last=last, count=count):
                return self._in_suffix(count, last in takers, position)
            case Chosen(per_block=False):
                return self._among("block", takers)
        if position is not None:
            return self._among(f"block[{position}]", takers)
        if {*takers, "identity"} == set(self.names):
            return self._among("block[0]", takers)  # identity blocks stand last
        parts = [(self._there(i), self._among(f"block[{i}]", takers)) for i in range(self.depth)]
        return " or ".join(f"({there} and {among})" if there else among for there, among in parts)

    def _at_places(self, places: Sequence[int], position: int | None) -> Condition:
        """Whether one of the places that fixed blocks take is there."""
        if position is not None:
            return None if min(position, len(places)) in places or position in places else NEVER
        return self._there(min(places)) if places else NEVER

    def _among(self, name: str, takers: Sequence[str]) -> str:
        return f"{self.part}.{name} in [{', '.join(repr(taker) for taker in takers)}]"

    def _in_suffix(self, count: Chosen | Const, last: bool, position: int | None) -> str:
        many = f"{self.part}.count" if isinstance(count, Chosen) else str(count.value)
        if position is None:
            return f"{many} > 0" if last else f"{self._deep()} > {many}"
        return f"{many} + {position} {'>=' if last else '<'} {self._deep()}"

    def _deep(self) -> str:
        return f"{self.stage}.depth" if self.min_depth != self.depth else str(self.depth)


@dataclass
class Effects:
    """Condition of every decision and field by its full name, before derived fields are followed."""

    own: dict[str, Condition] = field(default_factory=dict)

    def of(self, name: str, readers: Mapping[str, Sequence[str]]) -> Condition:
        """Condition of a decision: its own, or that of any field derived from it.

        Args:
            readers: as `readers_of` gives them.
        """
        conditions = [self.own[other] for other in (name, *_followed(name, readers))]
        if None in conditions:
            return None
        return " or ".join(dict.fromkeys(f"({condition})" for condition in conditions))


def readers_of(derived: Mapping[str, Expression]) -> dict[str, list[str]]:
    """The derived fields that read each name, by full name; a bare name may belong to the reader's stage."""
    readers: dict[str, dict[str, None]] = {}
    for reader, expression in derived.items():
        stage = reader.split(".")[0]
        for word in expression.names:
            readers.setdefault(word, {})[reader] = None
            readers.setdefault(f"{stage}.{word}", {})[reader] = None
    return {name: list(each) for name, each in readers.items()}


def _followed(name: str, readers: Mapping[str, Sequence[str]]) -> list[str]:
    """What is derived from a name, and from that, in turn."""
    known: dict[str, None] = {}
    pending = [name]
    while pending:
        new = [reader for reader in readers.get(pending.pop(), ()) if reader not in known]
        known.update(dict.fromkeys(new))
        pending += new
    return list(known)
