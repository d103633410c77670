"""The oracles' code in folders of its own, outside of the repository, kept from one test run to the next."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock
from ofa_beside import OnceForAll
from timm_beside import Timm as Process

TIMM = "timm==1.0.31"
OFA = "ofa==0.1.0.post202307202001"


def installed(package: str) -> Path:
    """Folder with one package and nothing else; skips where it cannot be had."""
    name = package.partition("=")[0]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nas-oracles"
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache / package
    with FileLock(cache / f"{name}.lock"):
        if not (folder / name / "__init__.py").exists():
            pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", "install", "--no-deps"]
            done = subprocess.run([*pip, "--target", str(folder), package], capture_output=True, text=True)
            if done.returncode:
                reason = (done.stderr.strip().splitlines() or ["pip failed"])[-1]
                pytest.skip(f"{package} cannot be had here: {reason}")
    return folder


@pytest.fixture(scope="session")
def timm_folder() -> Path:
    """Folder with timm and nothing else; skips where it cannot be had."""
    folder = installed(TIMM)
    for module in ("huggingface_hub", "yaml"):
        pytest.importorskip(module, reason=f"timm needs {module}")
    return folder


@pytest.fixture(scope="session")
def timm(timm_folder: Path) -> Iterator[Process]:
    """timm in a process of its own."""
    process = Process(timm_folder)
    yield process
    process.close()


@pytest.fixture(scope="session")
def ofa() -> Iterator[OnceForAll]:
    """Once-for-all's code in a process of its own."""
    process = OnceForAll(installed(OFA))
    yield process
    process.close()
