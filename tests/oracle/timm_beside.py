"""Running timm beside the tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parent / "timm_model.py"


def run_timm(folder: Path, *arguments: str | Path) -> None:
    """Run the script beside this file in a process of its own."""
    command = [sys.executable, str(SCRIPT), str(folder), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
