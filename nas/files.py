"""Files that are never half-written, also after the power went."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from nas.errors import NasError


class Sink(Protocol):
    """What a file's content is written to."""

    def write(self, data: bytes, /) -> int:
        """Append."""

    def flush(self) -> None:
        """Hand over what is held back."""


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write aside, then rename; an interruption leaves the old file or the new one, never a part.

    Raises:
        NasError: the file cannot be written.
    """
    data = content.encode() if isinstance(content, str) else content
    replace_by(path, lambda file: file.write(data))


def replace_by(path: Path, write: Callable[[Sink], object], *, previous: Path | None = None) -> None:
    """Put what `write` writes in the place of a file, at once or not at all; on the disk when this returns.

    Args:
        previous: where the file that was there goes; None: it goes away.

    Raises:
        NasError: the file cannot be written; nothing of it is left, and the one that was there stays.
    """
    aside = path.with_name(f".{path.name}.writing")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(aside, write)
        if previous is not None and path.exists():
            _keep(path, previous)
        aside.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            aside.unlink(missing_ok=True)
        raise NasError(f"{path}: cannot be written: {_why(error)}.") from None


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on the disk, where the system can say so: a rename alone may be undone."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


class _Recorder:
    """A file that remembers why it could not be written: torch's writer tells its own story instead."""

    def __init__(self, file: Sink) -> None:
        self._file = file
        self.error: OSError | None = None

    def write(self, data: bytes, /) -> int:
        try:
            return self._file.write(data)
        except OSError as error:
            self.error = self.error or error
            raise

    def flush(self) -> None:
        self._file.flush()


def _write(aside: Path, write: Callable[[Sink], object]) -> None:
    with aside.open("wb", buffering=0) as raw:
        recorder = _Recorder(_Whole(raw))
        try:
            write(recorder)
        except RuntimeError as error:
            raise recorder.error or OSError(str(error).splitlines()[0]) from None
        os.fsync(raw.fileno())


class _Whole:
    """An unbuffered file that writes all that it is given, so that no error comes late."""

    def __init__(self, raw: Sink) -> None:
        self._raw = raw

    def write(self, data: bytes, /) -> int:
        view = memoryview(data).cast("B")
        done = 0
        while done < len(view):
            done += self._raw.write(view[done:])  # type: ignore[arg-type]
        return done

    def flush(self) -> None:
        self._raw.flush()


def _keep(path: Path, previous: Path) -> None:
    """The same file under another name too; where there are no links, under that one alone for a moment."""
    aside = previous.with_name(f".{previous.name}.writing")
    try:
        aside.unlink(missing_ok=True)
        os.link(path, aside)
    except OSError:
        path.replace(previous)
    else:
        aside.replace(previous)


def _why(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        full = "the disk is full" if error.errno == errno.ENOSPC else "the quota of this disk is used up"
        return f"{full}; make room there and repeat the command (with --resume, if it was a run)"
    if error.errno == errno.EFBIG:
        return "files of this size are not allowed here (see `ulimit -f`)"
    return str(error.strerror or error)
