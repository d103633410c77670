"""Modules of studies, which have plain names that several studies use, importable for a while."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

STUDIES = Path(__file__).resolve().parents[2] / "studies"


@contextmanager
def importable(*names: str) -> Iterator[None]:
    """The modules of some studies, the first one's before the others'; afterwards forgotten."""
    folders, before = [STUDIES / name for name in names], list(sys.path)
    _forget(folders)
    sys.path[:0] = map(str, folders)
    try:
        yield
    finally:
        _forget(folders)
        sys.path[:] = before


def _forget(folders: list[Path]) -> None:
    for folder in folders:
        for path in folder.glob("*.py"):
            sys.modules.pop(path.stem, None)
