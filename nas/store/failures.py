"""Database errors as messages a person can act on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from nas.errors import NasError

_CAUSES = (
    ("file is not a database", "this file is not a SQLite database."),
    ("file is encrypted", "this file is not a SQLite database."),
    ("malformed", "this database is damaged; a copy made before may still be whole."),
    (
        "readonly database",
        "this database cannot be written; check the permissions of the file and its folder.",
    ),
    ("database is locked", "another process has been writing to it for too long; try again."),
    ("database or disk is full", "the disk is full."),
    ("disk i/o error", "the disk does not accept reads or writes here."),
)
_LACKING = ("no such column", "no such table", "undefinedcolumn", "undefinedtable", "unknown column")
_UNREACHABLE = ("connect", "could not translate", "resolve", "authentication", "does not exist", "timeout")


class Unreadable(NasError):
    """A row that somebody or something has altered."""


DAMAGE = (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError, OverflowError)
"""What reading a row raises that somebody or something has altered."""


def reason(error: Exception) -> str:
    """Why a row cannot be read, in a few words."""
    problems = getattr(error, "errors", None)
    if problems is not None:  # pydantic's
        first = problems(include_url=False, include_context=False)[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}, not {str(first['input'])[:40]!r}"
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__


@contextmanager
def readable() -> Iterator[None]:
    """Turn what reading an altered row raises into a `NasError`."""
    try:
        yield
    except DAMAGE as error:
        raise Unreadable(
            f"a row cannot be read ({reason(error)}). Put back a copy of the storage from before, or remove its study: "
            "nas study delete NAME."
        ) from error


@contextmanager
def translated(url: URL) -> Iterator[None]:
    """Turn every database error inside into a `NasError` that names the storage; unreadable rows too."""
    try:
        yield
    except Unreadable as error:
        raise NasError(f"storage {shown(url)}: {error}") from error.__cause__
    except SQLAlchemyError as error:
        raise NasError(f"storage {shown(url)}: {_told(error, url)}") from error


def shown(url: URL) -> str:
    """The URL as text, its password hidden."""
    return url.render_as_string(hide_password=True)


def _told(error: SQLAlchemyError, url: URL) -> str:
    cause = str(error.orig) if isinstance(error, DBAPIError) else str(error)
    lowered = cause.lower()
    if "unable to open database file" in lowered:
        return _unopened(Path(url.database or ""))
    for sign, told in _CAUSES:
        if sign in lowered:
            return told
    if any(
        sign in lowered or sign in type(getattr(error, "orig", None)).__name__.lower() for sign in _LACKING
    ):
        return (
            f"its tables are not those of this version ({cause.strip().splitlines()[0]}); put back a copy from before, "
            "or use another storage."
        )
    first = cause.strip().splitlines()[0] if cause.strip() else type(error).__name__
    if url.get_backend_name() != "sqlite" and any(sign in lowered for sign in _UNREACHABLE):
        return f"cannot be reached: {first}"
    return first


def _unopened(path: Path) -> str:
    if path.is_dir():
        return "this is a directory; a file is needed, for example sqlite:///nas.db."
    if path.parent.exists() and not path.parent.is_dir():
        return f"{path.parent} is a file, not a directory."
    if not path.parent.exists():
        return f"the directory {path.parent} does not exist."
    if not path.exists():
        return "there is no such file, so it cannot be opened; to make one there, check its folder."
    return "this file cannot be opened; check the permissions of the file and its folder."
