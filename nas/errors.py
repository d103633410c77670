"""Errors a person can act on: what was wrong, where, and what would be right."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

MANY, SHOWN = 60, 8


class NasError(Exception):
    """Base of every error shown to users as one clear message, without a traceback."""


class ConfigError(NasError):
    """Something a user wrote is wrong; names the file, the line (from 1) and the key.

    Args:
        message: what was wrong and what would be right.
        path: file the text came from, if any.
        line: line in that file, counted from 1, if known.
        key: dotted key of the offending value, if any.
    """

    def __init__(
        self,
        message: str,
        *,
        path: str | Path | None = None,
        line: int | None = None,
        key: str | None = None,
    ) -> None:
        self.path, self.line, self.key = path, line, key
        where = str(path) if path is not None else ""
        if where and line is not None:
            where += f":{line}"
        parts = [part for part in (where, key) if part]
        super().__init__(": ".join([*parts, message]))


def shortened(text: str, most: int = 80) -> str:
    """A text as it is, or its beginning and its length."""
    return text if len(text) <= most else f"{text[:most]}… ({len(text):,} characters)"


def suggestion(word: str, known: Iterable[str]) -> str:
    """`" Did you mean 'x'?"` for the known word nearest to `word`, or `""`."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" Did you mean {near[0]!r}?" if near else ""


def _nearest(word: str, names: list[str]) -> list[str]:
    return difflib.get_close_matches(word, names, n=SHOWN, cutoff=0.0)


def unknown(what: str, word: str, known: Iterable[str]) -> str:
    """One sentence for an unknown name: what is known, and the likely word."""
    names = sorted(known)
    listing = ", ".join(names) if names else "none"
    if len(names) > MANY:
        listing = f"{len(names)}, among them {', '.join(_nearest(word, names))}"
    return f"unknown {what} {shortened(word)!r}.{suggestion(word, names)} Known: {listing}."


def unprovided(what: str, word: str, known: Iterable[str]) -> str:
    """The same for what plug-ins can add: a file that names it never loads the code for it."""
    return f"{unknown(what, word, known)} If a plug-in provides it, add --plugin FILE (or MODULE)."
