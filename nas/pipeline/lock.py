"""One run at a time works on a study."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nas.errors import NasError

LOCK = ".lock"


@contextmanager
def only_run(folder: Path, name: str) -> Iterator[None]:
    """Hold the study's folder for as long as the context lasts; the system lets it go when the process ends.

    Raises:
        NasError: another process holds it.
    """
    message = (
        f"study {name!r} is being run by another process (it holds {folder / LOCK}). Wait for it, stop it, or "
        "choose another --study-name."
    )
    with held(folder, message):
        yield


@contextmanager
def held(folder: Path, message: str) -> Iterator[None]:
    """Hold a folder for as long as the context lasts; the system lets it go when the process ends.

    Raises:
        NasError: `message`, where another process holds it.
    """
    from filelock import FileLock, Timeout

    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise NasError(message) from None
    try:
        yield
    finally:
        lock.release()
