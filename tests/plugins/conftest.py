"""Every test begins without plug-ins, in a folder of its own, and leaves none behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nas.plugins import loaded, records


@pytest.fixture(autouse=True)
def _no_plugins(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    for plugin in reversed(list(loaded.values())):
        records.forget(plugin)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, empty."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NAS_PLUGINS", raising=False)
    return tmp_path
