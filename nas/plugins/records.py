"""What was loaded: which plug-ins, from where, with which content, and who registered which name."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any, Literal

SHOWN = 12
WEIGHTS = ("block", "data", "teacher")
"""Kinds of registered things that trained weights depend on."""
Origin = Literal["file", "module", "package", "program"]
Claim = tuple[str, str]
"""What a name stands for and the name: `("block", "ghost")`."""


@dataclass
class Plugin:
    """Code that registered, or may have registered, something.

    Attributes:
        name: the file's name without its ending, or the module's.
        origin: a `file`; a `module` that somebody named; a `package` that is installed and announces itself; or the
            `program` that uses nas as a library.
        source: what `--plugin` takes to load it: an absolute path, or the module's name. Empty for a program.
        digest: SHA-256 of its content in hexadecimal digits; of a package, over all of its Python files. Empty for what
            has no file, such as a notebook.
        version: of the distribution that the module belongs to; empty if to none.
        content: of a file.
        claims: what it registered, in order.
    """

    name: str
    origin: Origin
    source: str
    digest: str
    version: str = ""
    content: bytes = field(default=b"", repr=False)
    claims: list[Claim] = field(default_factory=list)

    def facts(self) -> dict[str, Any]:
        """All of it as plain data, without the content."""
        provides = [f"{what} {name}" for what, name in self.claims]
        return {
            "origin": self.origin,
            "source": self.source,
            "sha256": self.digest,
            "version": self.version,
            "provides": provides,
        }

    def describe(self) -> str:
        """`my_blocks (my_blocks.py, sha256 0123456789ab)`, for people."""
        return f"{self.name} ({identity(self.facts())})"


LOADED: dict[str, Plugin] = {}
"""By name, in the order of loading."""
OWNERS: dict[Claim, Plugin] = {}
_UNDO: dict[Claim, Callable[[], None]] = {}
_LOADING: list[Plugin] = []


def sha256(content: bytes) -> str:
    """The digest of some content."""
    return hashlib.sha256(content).hexdigest()


def identity(facts: dict[str, Any]) -> str:
    """Version and digest of a plug-in's facts, in words."""
    digest = str(facts.get("sha256") or "")
    parts = [str(facts.get("version") or ""), f"sha256 {digest[:SHOWN]}" if digest else "no file"]
    return ", ".join(part for part in parts if part)


def all_facts() -> dict[str, dict[str, Any]]:
    """Facts of everything loaded, by name."""
    return {name: plugin.facts() for name, plugin in LOADED.items()}


def used() -> dict[str, dict[str, Any]]:
    """Facts of the plug-ins that registered something, by name."""
    return {name: plugin.facts() for name, plugin in LOADED.items() if plugin.claims}


def digests(kinds: Collection[str] = WEIGHTS) -> dict[str, str]:
    """Digests by name of the plug-ins that registered something of these kinds: what trained weights depend on."""
    return {
        name: plugin.digest
        for name, plugin in LOADED.items()
        if plugin.origin != "program" and any(what in kinds for what, _ in plugin.claims)
    }


def options() -> list[str]:
    """The `--plugin` options that load again what is loaded; installed packages announce themselves."""
    typed = [plugin.source for plugin in LOADED.values() if plugin.origin in ("file", "module")]
    return [word for source in typed for word in ("--plugin", source)]


def loading() -> Plugin | None:
    """The plug-in that is being loaded right now."""
    return _LOADING[-1] if _LOADING else None


def begin(plugin: Plugin) -> None:
    """What is registered from now on is this plug-in's."""
    _LOADING.append(plugin)


def end(*, keep: bool) -> None:
    """The plug-in that was begun last is loaded; or, if it is not to be kept, all it registered is forgotten."""
    plugin = _LOADING.pop()
    if keep:
        LOADED[plugin.name] = plugin
    else:
        _withdraw(plugin)


def claim(plugin: Plugin, what: str, name: str, undo: Callable[[], None]) -> None:
    """Note that a plug-in has registered a name; `undo` takes it back."""
    from nas import cache

    cache.salt(
        plugin.digest or token_hex(16)
    )  # of code without a file nobody can say that it is still the same
    plugin.claims.append((what, name))
    OWNERS[what, name] = plugin
    _UNDO[what, name] = undo


def forget(plugin: Plugin) -> None:
    """Take back all that a plug-in registered, and the plug-in."""
    _withdraw(plugin)
    LOADED.pop(plugin.name, None)


def _withdraw(plugin: Plugin) -> None:
    for key in reversed(plugin.claims):
        del OWNERS[key]
        _UNDO.pop(key)()
    plugin.claims.clear()
