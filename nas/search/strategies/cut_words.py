"""What a cut changed, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import groupby
from typing import Any

from nas.space.batch import ArchBatch
from nas.space.choices import IDENTITY, choices_of


def difference(before: ArchBatch, after: ArchBatch) -> str:
    """The values that differ between two batches of one arch, the old and the new of each."""
    old, new = _shown(before), _shown(after)
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    changed = Counter(map(_base, names))
    keys = dict.fromkeys(name if changed[_base(name)] == 1 else _base(name) for name in names)
    return ", ".join(f"{key} {_told(old, key)} → {_told(new, key)}" for key in keys)


def _shown(arch: ArchBatch) -> dict[str, Any]:
    """Values by name; the blocks of a stage that chooses them by position are one entry, `4 mb4d + 2 mb3d`."""
    values: dict[str, Any] = arch.to_dicts()[0]
    for stage, choices in choices_of(arch.space).items():
        blocks = [str(values.pop(choice.decision, IDENTITY)) for choice in choices]
        runs = [(name, len(list(run))) for name, run in groupby(blocks) if name != IDENTITY]
        values[stage] = " + ".join(f"{count} {name}" for name, count in runs)
    return values


def _base(name: str) -> str:
    """The decision that a block's own is one of."""
    return name.partition("[")[0]


def _told(values: Mapping[str, Any], key: str) -> str:
    """A value, or those of all blocks of a stage in their order."""
    return " ".join(str(value) for name, value in values.items() if key in (name, _base(name))) or "–"
