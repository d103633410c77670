"""Whether a stored study may be continued with a given configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from nas.errors import NasError
from nas.settings import RunSettings
from nas.shell import resumed, words_of
from nas.store.columns import dump_json, load_json
from nas.store.records import StudyRow

MAY_CHANGE = (
    "settings.search.n_trials",
    "settings.search.batch",
    "settings.threads",
    "settings.train.checkpoint_every",
    "settings.train.checkpoint_seconds",
)
"""What says how far and how a study is run, and not what it finds out about."""


def check_resumable(study: StudyRow, *, space_hash: str, config: Mapping[str, Any]) -> list[str]:
    """Make sure that a study continues as what it began; what is another now and may be, a line each.

    Raises:
        NasError: another space or configuration, with every difference, or fewer trials than there are.
    """
    given = load_json(dump_json(dict(config)))
    lines = differences(_of_now(study.config), given)
    allowed = [line for line in lines if line.startswith(tuple(f"{key}: " for key in MAY_CHANGE))]
    found = [line for line in lines if line not in allowed]
    if study.space_hash != space_hash:
        found.insert(0, f"space: began with {study.space_hash}, now {space_hash}")
    if found:
        listed, words = "\n  ".join(found), words_of(str(study.facts.get("command", "")))
        as_it_began = "Run it as it began" + (f" ({resumed(words[1:])})" if words[:1] == ["nas"] else "")
        raise NasError(
            f"study {study.name!r} cannot be continued, its configuration differs:\n  {listed}\n"
            f"{as_it_began}, or use --study-name OTHER for a new study."
        )
    wanted = given.get("settings", {}).get("search", {}).get("n_trials", study.n_trials)
    if wanted < study.n_trials and allowed:
        raise NasError(
            f"study {study.name!r} has {study.n_trials} trials already; --n-trials {wanted} is fewer. Give more to go "
            "on, or the number it has."
        )
    return allowed


def _of_now(config: Mapping[str, Any]) -> dict[str, Any]:
    """A stored configuration with those settings that an earlier version did not have, at their defaults."""
    try:
        settings = RunSettings.model_validate(config["settings"]).model_dump()
    except (KeyError, ValidationError):  # no run's, or one of a version with other settings
        return dict(config)
    return {**config, "settings": load_json(dump_json(settings))}


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
