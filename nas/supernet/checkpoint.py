"""Checkpoints that survive a kill, a full disk and a power cut at any moment.

Written aside, hashed, then renamed. Those of fixed steps have a previous generation; what time or a signal asked for
lies beside them, so that a training which broke down goes back to the same weights however often it was stopped.
"""

from __future__ import annotations

import hashlib
import pickle
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

import torch

from nas.errors import NasError
from nas.files import Sink, replace_by

CURRENT, PREVIOUS, BETWEEN = "checkpoint.pt", "checkpoint.previous.pt", "checkpoint.between.pt"
HASH = "sha256"


class Checkpointer:
    """The checkpoints in one folder.

    A checkpoint is nested dicts and lists of tensors, numbers and text with a `step`; it is loaded with
    `weights_only`.

    Args:
        of: what is trained, in a word that no other training has; a checkpoint of something else is not loaded.
    """

    def __init__(self, folder: Path, of: str = "") -> None:
        self.folder, self.of = folder, of
        self.current, self.previous, self.between = folder / CURRENT, folder / PREVIOUS, folder / BETWEEN

    def save(self, payload: dict[str, Any], *, between: bool = False) -> None:
        """Write atomically; the current checkpoint becomes the previous one.

        Args:
            between: at no fixed step: beside the others, in the place of the last such one.

        Raises:
            NasError: it cannot be written; nothing of it is left, and those that were there stay.
        """
        whole = {**payload, "of": self.of}
        whole[HASH] = digest(whole)
        self._write(lambda file: torch.save(whole, cast("BinaryIO", file)), between)

    def keep(self, content: bytes, *, between: bool = False) -> None:
        """Write a checkpoint file that was written elsewhere, like `save`."""
        self._write(lambda file: file.write(content), between)

    def files(self) -> dict[str, bytes]:
        """Contents of the checkpoint files by name."""
        return {path.name: path.read_bytes() for path in self._all if path.exists()}

    @property
    def _all(self) -> tuple[Path, ...]:
        return self.current, self.previous, self.between

    def _write(self, write: Callable[[Sink], object], between: bool) -> None:
        if between:
            replace_by(self.between, write)
        else:
            replace_by(self.current, write, previous=self.previous)

    def load(self, *, fixed: bool = False) -> tuple[dict[str, Any], str | None] | None:
        """The whole checkpoint of the highest step and a warning if a newer one is damaged; None if there is none.

        Args:
            fixed: only those of fixed steps.

        Raises:
            NasError: there are checkpoints, but none is whole.
        """
        paths = (self.current, self.previous) if fixed else self._all
        read = {path: self._read(path) for path in paths if path.exists()}
        whole = {path: state for path, state in read.items() if isinstance(state, dict)}
        if whole:
            best = max(whole, key=lambda path: int(whole[path]["step"]))
            wrong = [f"{path} {why}" for path, why in read.items() if isinstance(why, str)]
            told = f"{'; '.join(wrong)}; continuing from {best.name}, step {whole[best]['step']}."
            return whole[best], told if wrong else None
        if read:
            wrong = [f"{path} {why}" for path, why in read.items()]
            raise NasError(
                f"no checkpoint of this training can be used: {'; '.join(wrong)}. Delete "
                f"{' and '.join(str(path) for path in read)} and repeat the command with --resume: the training begins "
                "again, to the same result."
            )
        return None

    def clear(self) -> None:
        """Remove all."""
        for path in self._all:
            path.unlink(missing_ok=True)

    def _read(self, path: Path) -> dict[str, Any] | str:
        """A checkpoint, or what is wrong with it."""
        payload = _loaded(path)
        if payload is None or not isinstance(payload.get("step"), int):
            return "is damaged"
        stated = payload.pop(HASH, None)
        if stated is not None and stated != digest(payload):
            return "is damaged or was altered"
        if self.of and payload.get("of", self.of) != self.of:
            return "is of another training"
        return payload


def digest(value: Any) -> str:
    """SHA-256 of nested dicts and lists of tensors, numbers and text, in hexadecimal."""
    found = hashlib.sha256()
    for part in _parts(value):
        found.update(part)
    return found.hexdigest()


def _parts(value: Any) -> Iterator[Any]:
    if isinstance(value, torch.Tensor):
        flat = value.detach().cpu().contiguous().reshape(-1)
        yield f"tensor {value.dtype} {tuple(value.shape)}".encode()
        yield flat.view(torch.uint8).numpy().data if flat.numel() else b""
    elif isinstance(value, dict):
        yield b"{%d" % len(value)
        for key, part in value.items():
            yield repr(key).encode()
            yield from _parts(part)
    elif isinstance(value, (list, tuple)):
        yield b"[%d" % len(value)
        for part in value:
            yield from _parts(part)
    else:
        yield repr(value).encode()


def _loaded(path: Path) -> dict[str, Any] | None:
    try:
        if not zipfile.is_zipfile(path):
            return None
        payload = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, OSError, EOFError, ValueError, KeyError, IndexError, TypeError, AttributeError):
        return None
    except (pickle.UnpicklingError, zipfile.BadZipFile, AssertionError, MemoryError, OverflowError):
        return None
    return payload if isinstance(payload, dict) else None
