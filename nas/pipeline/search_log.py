"""What a search has learned, batch by batch: a file that only grows, so that a batch costs what it adds.

Each line holds, by name, the entries that a batch added to lists of the search's state. The state names how much of the
file belongs to it, and the hash of that part; what stands behind it is of batches whose state was never written, and is
cut off when the search goes on.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nas.errors import NasError

LOG = "search.log"
BYTES, HASH = "bytes", "sha256"


class SearchLog:
    """One such file, written by one process.

    Attributes:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lengths: dict[str, int] = {}
        self._size, self._hash = 0, hashlib.sha256()

    @property
    def lengths(self) -> Mapping[str, int]:
        """How many entries of each list are written down."""
        return self._lengths

    def append(self, entries: Mapping[str, list[Any]]) -> dict[str, Any]:
        """Write down what lists grew by; what a state that goes with the file has to name.

        Raises:
            NasError: the file cannot be written.
        """
        line = (json.dumps(dict(entries)) + "\n").encode()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("r+b" if self.path.exists() else "w+b") as file:
                file.truncate(self._size)
                file.seek(self._size)
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise NasError(f"{self.path}: cannot be written: {error.strerror or error}.") from None
        self._size += len(line)
        self._hash.update(line)
        for name, added in entries.items():
            self._lengths[name] = self._lengths.get(name, 0) + len(added)
        return {BYTES: self._size, HASH: self._hash.hexdigest()}

    def go_on(self, mark: Mapping[str, Any]) -> dict[str, list[Any]]:
        """The lists as they were at a mark; the next `append` goes on from there.

        Raises:
            NasError: the file does not hold what was marked.
        """
        lists, content = _read(self.path, mark)
        self._size, self._hash = len(content), hashlib.sha256(content)
        self._lengths = {name: len(entries) for name, entries in lists.items()}
        return lists


def logged(path: Path, mark: Mapping[str, Any]) -> dict[str, list[Any]]:
    """The lists of a log as they were at a mark.

    Raises:
        NasError: the file does not hold what was marked.
    """
    return _read(path, mark)[0]


def _read(path: Path, mark: Mapping[str, Any]) -> tuple[dict[str, list[Any]], bytes]:
    size, stated = int(mark[BYTES]), str(mark[HASH])
    try:
        with path.open("rb") as file:
            content = file.read(size)
    except FileNotFoundError:
        raise NasError(f"{path} is missing") from None
    except OSError as error:
        raise NasError(f"{path} cannot be read ({error.strerror or error})") from None
    if len(content) != size or hashlib.sha256(content).hexdigest() != stated:
        raise NasError(
            f"{path} is damaged or was altered (its content has another hash than was written down)"
        )
    lists: dict[str, list[Any]] = {}
    for line in content.splitlines():
        for name, entries in json.loads(line).items():
            lists.setdefault(name, []).extend(entries)
    return lists, content
