"""What was taken of somebody else's table of times, what was left, and in which words it is said."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from nas.errors import NasError
from nas.latency.table import LatencyTable
from nas.measured.cells import NOT_TIMED, is_absent
from nas.measured.problems import SHOWN, listing, shown

UNTIMED = "not timed (empty, -1 or 0)"


@dataclass(frozen=True)
class Taken:
    """A table, and the keys of the file that are not in it.

    Attributes:
        path: the file.
        table: of what was taken.
        total: keys of the file.
        left: keys that were left, by why.
        convert: how what was left can be brought in, in one sentence; empty where nothing can be said.
    """

    path: Path
    table: LatencyTable
    total: int
    left: Mapping[str, Sequence[str]]
    convert: str = ""

    def lines(self) -> list[str]:
        """What was left, a line for each reason, and what to do about it."""
        count = sum(map(len, self.left.values()))
        if not count:
            return []
        lines = [f"{self.path}: {self.total - count:,} of {self.total:,} keys were taken, {count:,} left:"]
        lines += [f"  {len(keys):,} {why}: {listing(list(keys))}" for why, keys in self.left.items() if keys]
        return [*lines, *([f"  {self.convert}"] if self.convert else [])]

    def check(self, known: str) -> None:
        """Nothing, where something was taken.

        Raises:
            NasError: nothing was; says which keys are known.
        """
        if not len(self.table):
            told = "; ".join(
                f"{why}: {listing([repr(k) for k in keys])}" for why, keys in self.left.items() if keys
            )
            raise NasError(f"{self.path}: none of its keys can be taken ({told}); {known}")


def read_json(path: Path) -> Any:
    """The JSON of a file, infinities and NaN as texts.

    Raises:
        NasError: no such file, or no JSON.
    """
    try:
        return json.loads(path.read_bytes(), parse_constant=str)
    except OSError as error:
        raise NasError(f"{path}: cannot be read: {error.strerror}.") from None
    except (ValueError, RecursionError) as error:
        raise NasError(f"{path}: not valid JSON: {error}.") from None


def milliseconds(value: object) -> float | None:
    """A time; None where it says that none was measured.

    Raises:
        NasError: it is neither.
    """
    if value is None or (isinstance(value, str) and is_absent(value)):
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not _finite(value):
        raise NasError(f"is {shown(str(value))}; milliseconds above 0 are needed.")
    if value in NOT_TIMED:
        return None
    if value < 0:
        raise NasError(f"is {value}; milliseconds above 0 are needed.")
    return float(value)


def _finite(value: float) -> bool:
    try:
        return isfinite(value)
    except OverflowError:
        return False


def refuse(path: Path, wrong: Sequence[str]) -> None:
    """Nothing, where nothing is wrong.

    Raises:
        NasError: the first ten of what is wrong, and how many there are.
    """
    if not wrong:
        return
    more = f"\n{len(wrong):,} times in this file are wrong." if len(wrong) > 1 else ""
    raise NasError("\n  ".join([f"{path}: {wrong[0]}", *wrong[1:SHOWN]]) + more)
