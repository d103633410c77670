"""Ways to damage a file, and commands that must stand them."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from typer.testing import CliRunner, Result

from nas.cli import app
from nas.errors import NasError

TENTHS = range(1, 10)


def damages(
    content: bytes, other: bytes | None, flips: int, tenths: Sequence[int]
) -> Iterator[tuple[str, bytes]]:
    """Name and content of each damaged file.

    Args:
        other: content of the same file of another run.
        flips: how many single bytes are altered, one at a time.
        tenths: where it is cut.
    """
    yield "emptied", b""
    yield "zeroed", bytes(len(content))
    for tenth in tenths:
        yield f"cut at {tenth}/10", content[: len(content) * tenth // 10]
    draw = random.Random(len(content))
    for _ in range(flips if content else 0):
        at = draw.randrange(len(content))
        flipped = content[at] ^ (1 << draw.randrange(8))
        yield f"byte {at} flipped", content[:at] + bytes([flipped]) + content[at + 1 :]
    if other is not None:
        yield "another run's", other


def copied(run: Path, to: Path) -> Path:
    """A fresh copy of a run's working directory, in the place of an earlier one."""
    to.mkdir(exist_ok=True)  # it may be the working directory
    for entry in to.iterdir():
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    shutil.copytree(run, to, dirs_exist_ok=True)
    return to


def stood(*words: str) -> Result:
    """Run a command in this process; it may end well or with a message, and with nothing else.

    Raises:
        AssertionError: it ended with an error that says nothing to a person.
    """
    done = CliRunner().invoke(app, list(words))
    told = done.exception
    assert told is None or isinstance(told, (NasError, SystemExit)), f"{' '.join(words)}: {told!r}"
    return done


def message(done: Result) -> str:
    """What an error says, "" where there was none."""
    return str(done.exception) if isinstance(done.exception, NasError) else ""
