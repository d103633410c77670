"""Tables of timed networks: architecture → median, spread, runs, how it was obtained.

A CSV file a person can read and diff, sorted by space and arch:

    space,arch,median_ms,spread_ms,runs,provenance,source
    elasticvit,"{""T1.depth"":2,""resolution"":128}",4.41,0.05,50,measured,host 2026-03-01

`arch` is compact JSON of the decisions that have an effect (`ArchBatch.to_dicts`), keys sorted. The other columns
are those of `nas.latency.table`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Self

from nas.errors import NasError
from nas.latency.table import ENTRY_COLUMNS, Entry, entry_fields, parse_entry, read_csv, times_of, write_csv
from nas.latency.times import UnitTimes
from nas.measured.problems import Problems
from nas.space.batch import Arch, sum_hashes
from nas.space.decision import Value
from nas.space.space import Space

COLUMNS = ("space", "arch", *ENTRY_COLUMNS)
NetworkKey = tuple[str, str]
Decisions = dict[str, Value]


class NetworkTable:
    """Times of networks by space and arch; immutable.

    Attributes:
        entries: decisions and time by `(name of the space, id of the arch)`, sorted as in the file.
    """

    def __init__(self, networks: Iterable[tuple[str, Mapping[str, Value], Entry]] = ()) -> None:
        """A table of `(name of the space, decisions that have an effect, time)`; later ones win."""
        listed = [(space, dict(sorted(arch.items())), entry) for space, arch, entry in networks]
        listed.sort(key=lambda network: (network[0], _text(network[1])))
        self.entries: dict[NetworkKey, tuple[Decisions, Entry]] = {
            (space, arch_id(arch)): (arch, entry) for space, arch, entry in listed
        }

    def __len__(self) -> int:
        return len(self.entries)

    def __contains__(self, key: object) -> bool:
        return key in self.entries

    def __getitem__(self, key: NetworkKey) -> Entry:
        return self.entries[key][1]

    def items(self) -> Iterable[tuple[NetworkKey, tuple[Decisions, Entry]]]:
        """Keys with decisions and times, sorted."""
        return self.entries.items()

    @property
    def spaces(self) -> list[str]:
        """Names of the spaces it has networks of, sorted."""
        return sorted({space for space, _ in self.entries})

    def of(self, space: Space) -> tuple[list[Arch], UnitTimes]:
        """The networks of one space, in order, which may lie outside its ranges, and their times."""
        found = [value for (name, _), value in self.entries.items() if name == space.name]
        return [Arch(space, arch) for arch, _ in found], times_of([entry for _, entry in found])

    def merge(self, other: NetworkTable) -> NetworkTable:
        """Both tables' networks; where both know one, the measured, the more often run, else `other`'s."""
        entries = dict(self.entries)
        for key, (arch, entry) in other.items():
            if key not in entries or entry.rank >= entries[key][1].rank:
                entries[key] = (arch, entry)
        return NetworkTable((space, arch, entry) for (space, _), (arch, entry) in entries.items())

    def write(self, path: str | Path) -> None:
        """Write the CSV file, atomically."""
        records = ([space, _text(arch), *entry_fields(e)] for (space, _), (arch, e) in self.items())
        write_csv(path, COLUMNS, records)

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read and check a CSV file.

        Raises:
            ConfigError: no such file, not UTF-8, or wrong lines; names the file and the lines.
        """
        networks: list[tuple[str, Decisions, Entry]] = []
        seen: set[NetworkKey] = set()
        problems = Problems(Path(path))
        for line, (space, text, *fields) in read_csv(path, COLUMNS, problems):
            with problems.at(line):
                network = (_name(space), _decisions(text), parse_entry(fields))
                key = space, arch_id(network[1])
                if key in seen:
                    raise NasError(f"the arch {text} of {space} stands twice; each may stand only once.")
                networks.append(network)
                seen.add(key)
        problems.check()
        return cls(networks)


def arch_id(decisions: Mapping[str, Value]) -> str:
    """The arch's id, 16 hexadecimal digits: that of `nas.space.Arch`, without its space."""
    return f"{int(sum_hashes(decisions)):016x}"


def _text(decisions: Mapping[str, Value]) -> str:
    return json.dumps(decisions, sort_keys=True, separators=(",", ":"))


def _name(space: str) -> str:
    if not space.strip():
        raise NasError("the name of the space is empty.")
    return space


def _decisions(text: str) -> Decisions:
    try:
        data = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise NasError(f"arch: not valid JSON: {error}.") from None
    if not isinstance(data, dict) or not data:
        raise NasError("arch: a JSON object of decisions to values is needed.")
    for name, value in data.items():
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            raise NasError(f"arch: {name} is {json.dumps(value)}; a number or a word is needed.")
    return data


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number")
