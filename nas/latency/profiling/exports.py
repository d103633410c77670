"""Model files of units and networks: exported by processes beside each other, kept for the next time."""

from __future__ import annotations

import hashlib
import os
import queue
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any

from nas.errors import NasError
from nas.latency.profiling.lines import AnswerError, LineProcess, ProcessEnded
from nas.latency.profiling.runtimes.base import Runtime
from nas.plugins.carried import plugins_here
from nas.plugins.records import LOADED

EXPORT_SECONDS = 900.0
_SOURCES = (
    "blocks",
    "latency/profiling/runtimes",
    "latency/profiling/modules.py",
    "supernet/network.py",
    "supernet/deploy.py",
)


@dataclass(frozen=True)
class Wanted:
    """What to export.

    Attributes:
        name: the unit's signature, or the network's space and arch id.
        request: what the exporter is asked.
        keep: whether the file stays for the next time.
    """

    name: str
    request: Mapping[str, Any]
    keep: bool = True

    @classmethod
    def unit(cls, signature: str) -> Wanted:
        """One unit; its file stays."""
        return cls(signature, {"signature": signature})

    @classmethod
    def network(cls, source: str, space: str, arch_id: str, decisions: Mapping[str, Any]) -> Wanted:
        """One network of the space in `source`; its file, tens of MB, is for this time only."""
        return cls(f"{space} {arch_id}", {"space": source, "arch": dict(decisions)}, keep=False)


@dataclass(frozen=True)
class Exported:
    """A model file and the shape of its input; `temporary` if it is not kept."""

    name: str
    path: Path
    shape: tuple[int, ...]
    temporary: bool = False


def cache_folder() -> Path:
    """Where exported units are kept: `$XDG_CACHE_HOME/nas/exports`. Anything in it may be deleted at any time."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "nas" / "exports"


class Exports:
    """Exports for one runtime. A context manager: its processes end with it."""

    def __init__(
        self, runtime: type[Runtime], folder: Path | None = None, processes: int | None = None
    ) -> None:
        self._runtime = runtime
        self._folder = (folder or cache_folder()) / f"{runtime.name}-{runtime.version()}"
        self._idle: queue.SimpleQueue[LineProcess | None] = queue.SimpleQueue()
        self._processes = processes or min(os.cpu_count() or 1, 4)
        for _ in range(self._processes):
            self._idle.put(None)

    def __enter__(self) -> Exports:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while not self._idle.empty():
            process = self._idle.get()
            if process is not None:
                process.close()

    def get(self, wanted: Sequence[Wanted]) -> tuple[list[Exported], dict[str, str]]:
        """Model files, exported where they are not there yet, and why some could not be, by name.

        Raises:
            NasError: files cannot be written.
        """
        with ThreadPoolExecutor(self._processes) as pool:
            results = list(pool.map(self._one, wanted))
        failures = {one.name: found for one, found in zip(wanted, results) if isinstance(found, str)}
        return [found for found in results if isinstance(found, Exported)], failures

    def path(self, wanted: Wanted) -> Path:
        """Where the model file is or would be."""
        own = "".join(plugin.digest for plugin in LOADED.values())
        text = f"{sources_digest()}{own} {_torch_version()} {sorted(wanted.request.items())!r}"
        digest = hashlib.sha256(text.encode()).hexdigest()[:24]
        return self._folder / f"{digest}{self._runtime.suffix}"

    def _one(self, wanted: Wanted) -> Exported | str:
        path = self.path(wanted)
        facts = path.with_suffix(".shape")
        known = _shape(facts) if path.exists() else None
        if known is None:
            answer = self._export({**wanted.request, "path": str(path)})
            if isinstance(answer, str):
                return answer
            known = tuple(answer["shape"])
            _write(facts, "x".join(map(str, known)))
        return Exported(wanted.name, path, known, temporary=not wanted.keep)

    def _export(self, request: Mapping[str, Any]) -> dict[str, Any] | str:
        process = self._idle.get()
        try:
            process = process or self._start()
            return process.ask(request, EXPORT_SECONDS)
        except AnswerError as error:
            if "cannot be written" in str(error):
                raise NasError(str(error)) from None
            return str(error)
        except ProcessEnded as error:
            assert process is not None
            process.close()
            process = None
            return str(error)
        finally:
            self._idle.put(process)

    def _start(self) -> LineProcess:
        command = [sys.executable, "-m", __name__.rpartition(".")[0] + ".exporter", self._runtime.name]
        what = f"the exporter for {self._runtime.name}"
        process = LineProcess(command, what, {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"})
        try:
            for plugin in plugins_here():
                process.ask({"plugin": plugin.to_json()}, EXPORT_SECONDS)
        except NasError:
            process.close()
            raise
        return process


def discard(exported: Exported) -> None:
    """Delete a model file that is not to be kept."""
    if exported.temporary:
        exported.path.unlink(missing_ok=True)
        exported.path.with_suffix(".shape").unlink(missing_ok=True)


@lru_cache(maxsize=1)
def sources_digest() -> str:
    """12 hexadecimal digits over the code that decides what an exported unit computes."""
    package, digest = Path(__file__).resolve().parents[2], hashlib.sha256()
    for entry in _SOURCES:
        path = package / entry
        for file in sorted(path.glob("*.py")) if path.is_dir() else [path]:
            digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def _torch_version() -> str:
    from importlib.metadata import version

    return version("torch")


def _shape(path: Path) -> tuple[int, ...] | None:
    try:
        return tuple(int(size) for size in path.read_text().split("x"))
    except (OSError, ValueError):
        return None


def _write(path: Path, text: str) -> None:
    from nas.files import write_atomically

    write_atomically(path, text)
