"""Bring a database to the tables this code works with."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from nas.errors import NasError
from nas.store.engine import sqlite_file, writer
from nas.store.failures import shown
from nas.store.models import metadata

HEAD = "0002"
"""The newest migration, so that opening an up-to-date storage needs no Alembic."""
READABLE = ("0001",)
"""Older ones that can be read as they are: what they lack is taken to be empty."""
VERSION_TABLE = "nas_schema"
MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK = 0x6E6173  # "nas": the advisory lock under which PostgreSQL migrates


def prepare(engine: Engine, *, read_only: bool = False) -> bool:
    """Create or upgrade the tables where they are missing or old; False where an older one is read as it is.

    Raises:
        NasError: a database of a newer nas, of another program, or, where it may only be read,
            one that is not there or needs an upgrade.
    """
    path = sqlite_file(engine.url)
    if read_only and path is not None and not path.exists():
        raise NasError(f"storage {shown(engine.url)}: there is no such file; `nas run` makes one.")
    with engine.begin() as connection:
        version = _version(connection)
    if version == HEAD:
        return True
    if read_only and version in READABLE:
        return False
    if read_only:
        with engine.begin() as connection:
            _check_ours(connection, version)
        raise NasError(f"storage {shown(engine.url)}: not a storage of this version; `nas run` sets it up.")
    with writer(engine).begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        version = _version(connection)
        if version != HEAD:
            _upgrade(connection, version)
    return True


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()
    return None if found is None else str(found)


def _upgrade(connection: Connection, version: str | None) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    _check_ours(connection, version)
    command.upgrade(config, "head")


def _check_ours(connection: Connection, version: str | None) -> None:
    """Fail where setting up would not do.

    Raises:
        NasError: a database of a newer nas, or of another program.
    """
    if version is not None and version not in (HEAD, *READABLE):
        raise NasError(
            f"storage {shown(connection.engine.url)}: made by a newer nas (schema {version}; this one"
            f" knows {HEAD}); upgrade nas, or use another storage."
        )
    foreign = set(inspect(connection).get_table_names()) & set(metadata.tables)
    if version is None and foreign:
        raise NasError(
            f"storage {shown(connection.engine.url)}: holds tables of another program"
            f" ({', '.join(sorted(foreign))}); use another storage."
        )
