"""Storages to test: every test that asks for `url` runs on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import pytest

from nas.store import Storage

_EMPTY = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()",
    "DROP SCHEMA public CASCADE",
    "CREATE SCHEMA public",
)


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
