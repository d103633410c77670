"""Everything that is wrong with a file, told at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from nas.errors import ConfigError, NasError

SHOWN = 10
LONGEST = 40


def shown(text: str) -> str:
    """A cell as messages quote it: no longer than a line bears, without control characters."""
    return repr(text if len(text) <= LONGEST else f"{text[:LONGEST]}…")


@dataclass
class Problems:
    """What is wrong with a file, by line.

    Attributes:
        path: the file.
        listed: line and message of each problem.
    """

    path: Path
    listed: list[tuple[int, str]] = field(default_factory=list)

    def add(self, line: int, message: str) -> None:
        """One more."""
        self.listed.append((line, message))

    def cell(self, line: int, column: str, held: str, wanted: str) -> None:
        """A cell that does not hold what it should."""
        self.add(line, f"{column} = {shown(held)} {wanted}")

    @contextmanager
    def at(self, line: int) -> Iterator[None]:
        """What goes wrong inside belongs to this line, and the next ones are looked at all the same."""
        try:
            yield
        except NasError as error:
            self.add(line, str(error))

    def check(self) -> None:
        """Nothing, where nothing is wrong.

        Raises:
            ConfigError: the first ten problems by line, and how many there are.
        """
        if not self.listed:
            return
        ordered = sorted(self.listed)
        line, first = ordered[0]
        if len(ordered) == 1:
            raise ConfigError(first, path=self.path, line=line)
        places = "\n".join(f"  {self.path}:{at}: {message}" for at, message in ordered[1:SHOWN])
        raise ConfigError(f"{first}\n{places}\n{_count(len(ordered))}", path=self.path, line=line)


def _count(n: int) -> str:
    rest = f"; the first {SHOWN} are listed" if n > SHOWN else ""
    return f"{n:,} places in this file are wrong{rest}."


def listing(names: Sequence[str], at_most: int = 3) -> str:
    """The first of some names, and a sign that there are more."""
    return ", ".join(names[:at_most]) + (", …" if len(names) > at_most else "")
