"""Column types that behave the same on every database."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import DateTime, Dialect, Text
from sqlalchemy.types import TypeDecorator

from nas.errors import NasError


def dump_json(value: Any) -> str:
    """Compact ASCII JSON; numpy scalars and arrays, tuples and paths become plain data.

    NaN and infinities are kept as Python writes them, because a training loss can be one.

    Raises:
        NasError: a value that is no plain data.
    """
    return json.dumps(value, separators=(",", ":"), default=_plain)


def load_json(text: str) -> Any:
    """The value that `dump_json` wrote."""
    return json.loads(text)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise NasError(f"only plain data can be stored, not a {type(value).__name__} ({value!r}).")


class Json(TypeDecorator[Any]):
    """Plain data as JSON text; text, because PostgreSQL's JSON refuses NaN and NUL."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """None stays NULL."""
        return None if value is None else dump_json(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        """NULL is None."""
        return None if value is None else load_json(value)


class Utc(TypeDecorator[datetime]):
    """Aware datetimes, stored as naive UTC."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Naive UTC for the database."""
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Aware UTC for the caller."""
        return None if value is None else value.replace(tzinfo=UTC)
