"""Arrays kept on disk between runs, to be computed anew wherever anything about them is in doubt.

Entries lie in `$NAS_CACHE`, else in `$XDG_CACHE_HOME/nas`, else in `~/.cache/nas`; `NAS_CACHE=off` keeps none.
An entry's key says everything that its arrays depend on, the source of what computes them included, so that an
old entry is never taken for a new one. A cache never fails: an entry that cannot be read is no entry, and what
cannot be written is not kept.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]
MAX_BYTES = 512 * 2**20
ENDING = ".npz"
_SOURCES = ("blocks", "space", "costs", "latency", "arith.py", "rows.py", "cache.py")
_LIBRARIES = ("numpy", "xgboost")
_KEY = "key"
_SALTS: set[str] = set()


def salt(text: str) -> None:
    """Make `text` part of every key from now on: the digest of a loaded plug-in, say. Order does not matter."""
    _SALTS.add(text)


def folder() -> Path | None:
    """Where entries lie; None where none are kept."""
    named = os.environ.get("NAS_CACHE", "")
    if named == "off":
        return None
    if named:
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME", "")
    try:
        return (Path(base) if base else Path.home() / ".cache") / "nas"
    except RuntimeError:  # no home
        return None


def digest(parts: Iterable[str | bytes]) -> str:
    """64 hexadecimal digits over a sequence of texts; where one ends and the next begins matters."""
    total = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else part.encode()
        total.update(b"%d:" % len(data))
        total.update(data)
    return total.hexdigest()


@cache
def sources() -> str | None:
    """Digest of the files that compute what is kept, and of the libraries they use; None where it has no files."""
    package = Path(__file__).resolve().parent
    try:
        files = [file for name in _SOURCES for file in _modules(package / name)]
        read = [part for file in files for part in (str(file.relative_to(package)), file.read_bytes())]
        return digest([*read, *(f"{name} {version(name)}" for name in _LIBRARIES)])
    except (OSError, PackageNotFoundError):
        return None


def _modules(path: Path) -> list[Path]:
    return sorted(path.rglob("*.py")) if path.is_dir() else [path]


def load(kind: str, parts: Sequence[str]) -> dict[str, NDArray[Any]] | None:
    """The arrays kept under a key; None where there are none, or where they cannot be read.

    Args:
        kind: what they are; begins the file's name.
        parts: all that the arrays depend on, besides the package's source and what `salt` was given.
    """
    path, key = _place(kind, parts)
    if path is None:
        return None
    try:
        with np.load(path, allow_pickle=False) as entry:
            arrays = {name: entry[name] for name in entry.files}
    except (
        Exception
    ):  # whatever a damaged archive makes its readers raise: zip, zlib, header and memory errors
        return None
    if _KEY not in arrays or str(arrays.pop(_KEY)) != key:
        return None
    with contextlib.suppress(OSError):
        os.utime(path)  # what goes first is what was not used for longest
    return arrays


def save(kind: str, parts: Sequence[str], arrays: Arrays) -> None:
    """Keep arrays of numbers under a key, in place of what was there. Nothing happens where that is not possible.

    Args:
        kind, parts: as for `load`.
        arrays: by name.
    """
    path, key = _place(kind, parts)
    if path is None or sum(array.nbytes for array in arrays.values()) > MAX_BYTES // 2:
        return
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, {**arrays, _KEY: np.array(key)})
        _prune(path.parent)


def _place(kind: str, parts: Sequence[str]) -> tuple[Path | None, str]:
    """The file of an entry, None where none is kept, and its key."""
    where, code = folder(), sources()
    if where is None or code is None:
        return None, ""
    key = digest([kind, code, str(len(_SALTS)), *sorted(_SALTS), *parts])
    return where / f"{kind}-{key[:40]}{ENDING}", key


def _write(path: Path, arrays: Arrays) -> None:
    """Write aside under a name of its own, then rename: of several processes, each writes a whole file.

    It is not synced: what a power cut leaves unwritten is a damaged entry, and computed anew.
    """
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=ENDING, dir=path.parent)
    aside = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def _prune(where: Path) -> None:
    """Drop the entries that were not used for longest, until the rest is within `MAX_BYTES`."""
    entries = [(path.stat(), path) for path in where.glob(f"*{ENDING}")]
    left = sum(about.st_size for about, _ in entries)
    for about, path in sorted(entries, key=lambda entry: entry[0].st_mtime):
        if left <= MAX_BYTES:
            return
        path.unlink(missing_ok=True)
        left -= about.st_size
