"""Whether the plug-ins that a study ran with are loaded, as they were; paths it names are read out, never loaded."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from nas.errors import NasError
from nas.files import write_atomically
from nas.plugins import records
from nas.plugins.records import LOADED, identity, sha256

KEPT = "plugins"
Facts = Mapping[str, Any]


def check_loaded(
    study: str,
    facts: Facts,
    folder: Path,
    what: str,
    *,
    kinds: Collection[str] = (),
    changed: bool = True,
) -> None:
    """Make sure that what a study's facts name is loaded.

    Args:
        facts: of the study.
        folder: of the study, in which copies of plug-in files are.
        what: what is not possible otherwise, e.g. `cannot be continued`.
        kinds: only plug-ins that provide something of these kinds, or nothing at all, matter; none: all do.
        changed: whether one that is loaded with other content is refused, too.

    Raises:
        NasError: which plug-in is missing or has changed, and the option that loads it as it was.
    """
    lines = [
        line
        for name, then in (facts.get("plugins") or {}).items()
        if _matters(then, kinds) and (line := _difference(name, then, folder, changed)) is not None
    ]
    if lines:
        listed = "\n  ".join(lines)
        raise NasError(
            f"study {study!r} {what} without the plug-ins it ran with, as they were:\n  {listed}\n"
            "Code is loaded only where you name it yourself."
        )


def keep_copies(folder: Path) -> None:
    """Copy the files of all plug-ins into a study's folder, for whoever needs them as they were."""
    for plugin in LOADED.values():
        if plugin.origin == "file":
            write_atomically(_kept(folder, plugin.name), plugin.content)


def identities(facts: Facts) -> dict[str, str]:
    """Version and digest of each plug-in of a study's facts, in words."""
    return {name: identity(then) for name, then in (facts.get("plugins") or {}).items()}


def differing(facts: Facts) -> list[str]:
    """Plug-ins of a study that are loaded otherwise now: `my_blocks: then sha256 …, now sha256 …`."""
    now = identities({"plugins": records.all_facts()})
    return [
        f"{name}: then {then}, now {now[name]}"
        for name, then in identities(facts).items()
        if name in now and now[name] != then
    ]


def _matters(then: Facts, kinds: Collection[str]) -> bool:
    provided = [str(text).partition(" ")[0] for text in then.get("provides") or ()]
    return not kinds or not provided or any(what in kinds for what in provided)


def _difference(name: str, then: Facts, folder: Path, changed: bool) -> str | None:
    """What is wrong in a line, if anything is.

    The text of a program that registers something itself is not compared: it has changed where only `resume` was set.
    """
    now = LOADED.get(name)
    if now is None:
        return f"{name} ({identity(dict(then))}) is not loaded: {_remedy(name, then, folder)}"
    if changed and then.get("origin") != "program" and now.digest != then.get("sha256"):
        was, is_ = identity(dict(then)), identity(now.facts())
        return f"{name} was {was}, is {is_}: {_remedy(name, then, folder)}"
    return None


def _remedy(name: str, then: Facts, folder: Path) -> str:
    """How the plug-in is loaded as it was."""
    source, digest, kept = str(then.get("source") or ""), then.get("sha256"), _kept(folder, name)
    match then.get("origin"):
        case "program":
            return f"the program {name} defined it; run it from there"
        case "package":
            return f"install the package of {name} in that version"
        case "module":
            return f"add --plugin {shlex.quote(source)}, of that version"
    for file in (Path(source), kept):
        if _digest(file) == digest:
            return f"add --plugin {shlex.quote(str(file))}"
    return f"add --plugin {shlex.quote(source)}, with the content that has this digest"


def _kept(folder: Path, name: str) -> Path:
    return folder / KEPT / f"{name}.py"


def _digest(file: Path) -> str | None:
    try:
        return sha256(file.read_bytes())
    except OSError:
        return None
