"""Fixtures for all tests: one thread for torch, and the folder of published data."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """Results that are compared bit for bit, and tests that share two cores, need one thread each."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with the published tables (`nn_meter_lut`, `nasbench201`); skips where it is absent."""
    named = os.environ.get("NAS_SHARED_DATA")
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the published data is not here; name its folder in NAS_SHARED_DATA")
    return folder
