"""A real study, finished by the command line, and small ones to the number."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from dashboard_small import NAME, SPACE, five, opened

from nas.report.snapshot import Snapshot, read_snapshot
from nas.store import Storage

SETTINGS = (
    "threads=1",
    "train.steps=8",
    "train.batch=8",
    "train.resolution_scale=0.25",
    "train.checkpoint_every=8",
    "train.sampler.banks.capacity=3",
    "train.sampler.banks.big_capacity=2",
    "evaluate.recalibrate=1",
    "evaluate.final_recalibrate=1",
    "evaluate.images=48",
    "evaluate.batch=48",
    "search.batch=6",
    "search.options.first=12",
    "search.options.generations=4",
    "search.options.population=24",
)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `nas.db`: a finished study of 24 trials under a name that means harm, and a small one."""
    folder = tmp_path_factory.mktemp("finished")
    settings = [part for text in SETTINGS for part in ("--set", text)]
    named = ["--device", "pixel6", "--study-name", NAME, "--n-trials", "24", "-q"]
    done = subprocess.run(
        [sys.executable, "-m", "nas", "run", str(SPACE), *named, *settings],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    storage = opened(folder)
    five(storage)
    storage.close()
    return folder


@pytest.fixture
def small(tmp_path: Path) -> Snapshot:
    """The study of five trials."""
    storage: Storage = opened(tmp_path)
    five(storage)
    return read_snapshot(storage, "small")
