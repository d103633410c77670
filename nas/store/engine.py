"""From a storage URL to a database engine."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, NullPool, StaticPool, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from nas.errors import NasError
from nas.store.failures import shown

BUSY_S = 60.0  # how long a writer waits for its turn on SQLite
_DRIVERS = {
    "psycopg": '"nas[postgres]"',
    "psycopg2": "psycopg2-binary",
    "pg8000": "pg8000",
    "MySQLdb": "mysqlclient",
    "pymysql": "PyMySQL",
    "mysql": "mysql-connector-python",
    "mariadb": "mariadb",
    "pyodbc": "pyodbc",
    "pymssql": "pymssql",
    "oracledb": "oracledb",
    "cx_Oracle": "cx_Oracle",
}
"""The package that has a driver's module: seldom one of the module's name."""
_WRITES = "nas_writes"


def default_url() -> str:
    """`NAS_STORAGE` from the environment, or `sqlite:///nas.db` in the working directory."""
    return os.environ.get("NAS_STORAGE") or "sqlite:///nas.db"


def named(url: URL) -> str | None:
    """What `--storage` must say for it, its password hidden; None where the default is that storage."""
    return None if url == parse_url(default_url()) else shown(url)


def parse_url(text: str) -> URL:
    """A storage URL; plain `postgresql://` gets the driver that `nas[postgres]` installs.

    Raises:
        NasError: not a URL, with one that would be right.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):  # the latter for a port that is no number
        hint = f"sqlite:///{text}" if text.strip() and "://" not in text else "sqlite:///nas.db"
        raise NasError(f"storage {text!r} is not a URL; one that is: {hint}") from None
    if url.get_backend_name() == "sqlite" and url.host:
        raise NasError(f"storage {text!r}: a SQLite URL has three slashes: sqlite:///{url.host}")
    if "\0" in str(url.database):
        raise NasError(f"storage {text!r}: no file can have this name.")
    if url.drivername in ("postgres", "postgresql"):
        return url.set(drivername="postgresql+psycopg")
    return url


def connect(url: URL, *, read_only: bool = False) -> Engine:
    """An engine for the URL; nothing is opened yet.

    On SQLite: write-ahead log, so that readers and the writer do not wait for one another;
    foreign keys checked; a commit survives the end of the process and of the power: files that name a commit are
    synced too, and must not outlive it.

    Raises:
        NasError: unknown kind of database, or its driver is not installed.
    """
    sqlite = url.get_backend_name() == "sqlite"
    options: dict[str, Any] = {"connect_args": {"timeout": BUSY_S}} if sqlite else {"pool_pre_ping": True}
    if sqlite and url.database in (None, "", ":memory:"):
        options |= {"poolclass": StaticPool}
        options["connect_args"] |= {"check_same_thread": False}
    elif sqlite and read_only:
        options |= {"poolclass": NullPool}  # a file that was put in the place of another is noticed
    try:
        engine = create_engine(url, **options)
    except NoSuchModuleError:
        raise NasError(
            f"storage {shown(url)}: there is no database {url.drivername!r};"
            " known are sqlite:///FILE and postgresql+psycopg://USER:PASSWORD@HOST/DATABASE."
        ) from None
    except ArgumentError as error:
        raise NasError(f"storage {shown(url)}: {str(error).splitlines()[0]}") from None
    except ModuleNotFoundError as error:
        module = str(error.name).partition(".")[0]
        remedy = (
            f"pip install {_DRIVERS[module]}"
            if module in _DRIVERS
            else f"install the package that has the Python module {module!r}; its documentation names it"
        )
        raise NasError(f"storage {shown(url)}: its driver {module!r} is missing: {remedy}") from None
    if sqlite:
        _set_up_sqlite(engine, read_only)
        return engine
    return engine.execution_options(postgresql_readonly=True) if read_only else engine


def reader(engine: Engine) -> Engine:
    """The same engine, whose transactions see the same commits from their first statement to their last."""
    if engine.url.get_backend_name() == "sqlite":  # which has it so
        return engine
    return engine.execution_options(isolation_level="REPEATABLE READ")


def writer(engine: Engine) -> Engine:
    """The same engine, whose SQLite transactions take the write lock when they begin.

    A transaction that reads first and writes later would fail instead of waiting its turn.
    """
    return engine.execution_options(**{_WRITES: True})


def check_kept(text: str | None) -> None:
    """Fail for a database in memory: what a command writes there is gone when it ends.

    Args:
        text: URL, None for the default.

    Raises:
        NasError: it is one, or no URL.
    """
    url = parse_url(default_url() if text is None else text)
    if url.get_backend_name() == "sqlite" and sqlite_file(url) is None:
        raise NasError(
            f"storage {shown(url)}: a database in memory, gone when the command ends; name a file: sqlite:///nas.db."
        )


def sqlite_file(url: URL) -> Path | None:
    """The file behind a SQLite URL, None for another database or one in memory."""
    if url.get_backend_name() != "sqlite" or url.database in (None, "", ":memory:"):
        return None
    return Path(str(url.database))


def _write_ahead(cursor: Any) -> None:
    """Switch a new database to its write-ahead log; where two processes do so at once, one waits here.

    SQLite's own wait for its turn does not hold for this switch.
    """
    end = time.monotonic() + BUSY_S
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > end:
                raise
            time.sleep(0.01)


def _set_up_sqlite(engine: Engine, read_only: bool) -> None:
    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # transactions begin where `begin` below says so
        cursor = connection.cursor()
        if not read_only and cursor.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            _write_ahead(cursor)
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA cache_size=-65536")
        if read_only:
            cursor.execute("PRAGMA query_only=ON")
        cursor.close()

    if read_only and sqlite_file(engine.url) is not None:

        @event.listens_for(engine, "do_connect")
        def open_existing(_dialect: Any, _record: Any, given: list[Any], options: dict[str, Any]) -> None:
            """SQLite makes a file that is not there, unless it is told not to by a URI."""
            if not options.get("uri"):
                given[0], options["uri"] = f"{Path(given[0]).absolute().as_uri()}?mode=rw", True

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get(_WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
