"""Tests of plug-ins are in a folder of their own."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, empty."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NAS_PLUGINS", raising=False)
    return tmp_path
