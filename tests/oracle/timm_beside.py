"""Running timm beside the tests, in one process for all of them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parent / "timm_model.py"


class Beside:
    """A process that runs a script with somebody's code, which the tests' own has not."""

    def __init__(self, script: Path, folder: Path) -> None:
        command = [sys.executable, str(script), str(folder)]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, bufsize=1)

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)

    def ask(self, *words: object) -> None:
        """One request, which must be answered by `done`."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(words) + "\n")
        answer = self._process.stdout.readline().strip()
        assert answer == "done", answer


class Timm(Beside):
    """A process that has timm."""

    def __init__(self, folder: Path) -> None:
        super().__init__(SCRIPT, folder)

    def draw(self, model: str, out: Path) -> None:
        """Write a model's random weights, two images and its answers."""
        self.ask("draw", model, 1, str(out))

    def load(self, file: Path, out: Path) -> None:
        """Load a file that was written for timm; write two images and the answers of its model."""
        self.ask("load", str(file), str(out))
