"""Whether a stored study may be continued with a given configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nas.errors import NasError
from nas.store.columns import dump_json, load_json
from nas.store.records import StudyRow


def check_resumable(study: StudyRow, *, space_hash: str, config: Mapping[str, Any]) -> None:
    """Make sure that a study continues as what it began.

    Raises:
        NasError: another space or configuration, with every difference.
    """
    found = differences(study.config, load_json(dump_json(dict(config))))
    if study.space_hash != space_hash:
        found.insert(0, f"space: began with {study.space_hash}, now {space_hash}")
    if found:
        listed = "\n  ".join(found)
        raise NasError(
            f"study {study.name!r} cannot be continued, its configuration differs:\n  {listed}\n"
            "Run it as it began, or use --study-name OTHER for a new study."
        )


def differences(stored: Any, given: Any, key: str = "") -> list[str]:
    """Lines `key: began with …, now …` for all that differs between plain data."""
    if isinstance(stored, dict) and isinstance(given, dict):
        names = [*stored, *(name for name in given if name not in stored)]
        lines = [_compared(stored, given, name, f"{key}.{name}" if key else str(name)) for name in names]
        return [line for found in lines for line in found]
    same = stored == given or (stored != stored and given != given)  # NaN equals itself here
    return [] if same else [f"{key}: began with {stored!r}, now {given!r}"]


def _compared(stored: dict[str, Any], given: dict[str, Any], name: str, key: str) -> list[str]:
    if name not in given:
        return [f"{key}: began with {stored[name]!r}, now not set"]
    if name not in stored:
        return [f"{key}: began without it, now {given[name]!r}"]
    return differences(stored[name], given[name], key)
