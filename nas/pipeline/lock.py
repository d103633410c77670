"""One run at a time works on a study: one in its folder, and one in its storage."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from nas.errors import NasError

if TYPE_CHECKING:
    from nas.store import Storage

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


@contextmanager
def heard_from(store: Storage) -> Iterator[None]:
    """Tell the storage every few seconds that this process is alive, whatever else it is busy with."""
    from nas.store.leases import BEAT_S

    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(BEAT_S):
            with suppress(NasError):  # a storage that is busy or out of reach; the next sign may come through
                store.beat()

    thread = threading.Thread(target=beat, name="nas-lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
