"""Whose code failed: nas's, Python's, an installed library's, or that of who uses them."""

from __future__ import annotations

import traceback
from pathlib import Path
from sysconfig import get_paths

_NAS = Path(__file__).parent
_INSTALLED = frozenset({"site-packages", "dist-packages"})


def of_users(file: str) -> bool:
    """Whether a file is neither nas's nor Python's nor an installed library's."""
    if file.startswith("<") or _NAS in Path(file).parents:
        return False
    python = {Path(path) for name, path in get_paths().items() if name in ("stdlib", "platstdlib")}
    return python.isdisjoint(Path(file).parents) and not _INSTALLED.intersection(Path(file).parts)


def place_of(error: BaseException) -> str:
    """`FILE:LINE` of such a file in which an error arose; empty where none took part."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if of_users(frame.filename)]
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""
