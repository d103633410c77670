"""Checkpoints that survive a kill at any moment: written aside, then renamed; the previous one is kept."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import torch

from nas.errors import NasError

CURRENT, PREVIOUS = "checkpoint.pt", "checkpoint.previous.pt"


class Checkpointer:
    """The current and the previous checkpoint in one folder.

    A checkpoint is nested dicts and lists of tensors, numbers and text; it is loaded with `weights_only`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.current, self.previous = folder / CURRENT, folder / PREVIOUS

    def save(self, payload: dict[str, Any]) -> None:
        """Write atomically; the current checkpoint becomes the previous one."""
        self._write(lambda file: torch.save(payload, file))

    def keep(self, content: bytes) -> None:
        """Write a checkpoint file that was written elsewhere, like `save`."""
        self._write(lambda file: file.write(content))

    def files(self) -> dict[str, bytes]:
        """Contents of the checkpoint files by name."""
        return {path.name: path.read_bytes() for path in (self.current, self.previous) if path.exists()}

    def _write(self, write: Callable[[BinaryIO], object]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        aside = self.folder / f"{CURRENT}.writing"
        try:
            with aside.open("wb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            aside.unlink(missing_ok=True)
            raise NasError(
                f"{self.folder}: the checkpoint cannot be written: {error.strerror or error}."
            ) from None
        if self.current.exists():
            self.current.replace(self.previous)
        aside.replace(self.current)

    def load(self) -> tuple[dict[str, Any], str | None] | None:
        """The newest whole checkpoint and a warning if it is not the newest written; None if there is none.

        Raises:
            NasError: there are checkpoints, but none is whole.
        """
        present = [path for path in (self.current, self.previous) if path.exists()]
        for path in present:
            payload = _read(path)
            if payload is not None:
                warning = (
                    None if path == present[0] else f"{present[0]} is damaged; continuing from {path.name}."
                )
                return payload, warning
        if present:
            raise NasError(f"{self.folder}: the checkpoints are damaged; start again without --resume.")
        return None

    def clear(self) -> None:
        """Remove both."""
        self.current.unlink(missing_ok=True)
        self.previous.unlink(missing_ok=True)


def _read(path: Path) -> dict[str, Any] | None:
    if not zipfile.is_zipfile(path):
        return None
    try:
        payload = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, OSError, EOFError, zipfile.BadZipFile):
        return None
    return payload if isinstance(payload, dict) else None
