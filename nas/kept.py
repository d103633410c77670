"""Records of our own: JSON files that carry their hash, whose previous generation is kept, and that are checked when
they are read. Files of versions that wrote no hash are read as they are."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from nas.errors import NasError
from nas.files import replace_by

HASH = "sha256"


class Shape(BaseModel):
    """What a record must have; what else it has is left alone."""

    model_config = ConfigDict(extra="allow")


@dataclass(frozen=True)
class Record:
    """A record as read.

    Attributes:
        data: without its hash.
        warning: that it is not the newest that was written, and why; else empty.
    """

    data: dict[str, Any]
    warning: str = ""


def previous_of(path: Path) -> Path:
    """Where the previous generation of a file is: `search.previous.json`."""
    return path.with_name(f"{path.stem}.previous{path.suffix}")


def is_there(path: Path) -> bool:
    """Whether any generation of a record is there."""
    return path.exists() or previous_of(path).exists()


def write_record(path: Path, data: Mapping[str, Any], indent: int | None = None) -> None:
    """Write a record with its hash; the one that was there becomes the previous one.

    Raises:
        NasError: it cannot be written; the one that was there stays.
    """
    plain = json.loads(json.dumps(dict(data)))
    text = json.dumps({**plain, HASH: _digest(plain)}, indent=indent)
    replace_by(path, lambda file: file.write(text.encode()), previous=previous_of(path))


def read_record(
    path: Path,
    shape: type[Shape],
    remedy: str,
    refuse: Callable[[Mapping[str, Any]], str] = lambda data: "",
) -> Record:
    """The newest generation of a record that is whole.

    Args:
        shape: what it must have.
        remedy: a sentence: what to do where none is whole.
        refuse: why a record that is whole is not to be used, "" where it is.

    Raises:
        NasError: none is; names the file, what is wrong with it, and the way on.
    """
    reasons: list[str] = []
    for file in (path, previous_of(path)):
        data, wrong = _read(file, shape)
        wrong = wrong or refuse(data)
        if not wrong:
            warning = f"{path}: {reasons[0]}; going on from {file.name}" if reasons else ""
            return Record(data, warning)
        reasons.append(wrong)
    earlier = "" if reasons[1] == MISSING else f" Nor can {previous_of(path).name} be used: {reasons[1]}."
    raise NasError(f"{path}: {reasons[0]}.{earlier} {remedy}")


MISSING = "there is no such file"


def _read(file: Path, shape: type[Shape]) -> tuple[dict[str, Any], str]:
    """A record, or what is wrong with it."""
    try:
        data = json.loads(file.read_bytes())
    except FileNotFoundError:
        return {}, MISSING
    except OSError as error:
        return {}, f"it cannot be read ({error.strerror or error})"
    except (ValueError, RecursionError):
        return {}, "it is damaged (no JSON)"
    if not isinstance(data, dict):
        return {}, "it is damaged (no record)"
    stated = data.pop(HASH, None)
    if stated is not None and stated != _digest(data):
        return {}, "it is damaged or was altered (its content has another hash than it says)"
    try:
        shape.model_validate(data)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(map(str, problem["loc"]))
        return {}, f"it is damaged or was altered ({where}: {problem['msg']})"
    return data, ""


def _digest(data: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
