"""Claiming a name: checked, refused if somebody has it, and noted for who registered it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Container
from typing import Any

from nas.errors import NasError
from nas.plugins import records


def register(
    what: str,
    name: str,
    known: Container[str],
    add: Callable[[], object],
    undo: Callable[[], object],
    form: re.Pattern[str],
    thing: object,
) -> None:
    """Register a name for the plug-in that is being loaded, or for the program that calls.

    Args:
        what: kind of thing: `block`, `strategy`, …
        known: names of that kind that exist.
        add, undo: put the thing into its registry, and take it out again.
        form: that names must have.
        thing: what is registered.

    Raises:
        NasError: not a name, or one that exists; says who has it.
    """
    if not isinstance(name, str) or not form.match(name):
        raise NasError(f"{name!r} is no name of a {what}: a letter first, then of {_allowed(form)}.")
    if name in known:
        owner = records.OWNERS.get((what, name))
        holder = "nas itself" if owner is None else f"the plug-in {owner.describe()}"
        raise NasError(f"the {what} {name!r} exists already: {holder} has it. Give yours another name.")
    from nas.plugins.loading import registering

    plugin = registering(str(getattr(thing, "__module__", "__main__")))
    add()
    records.claim(plugin, what, name, lambda: (undo(), None)[1])


def _allowed(form: re.Pattern[str]) -> str:
    """The characters that a form's last set allows, as people read it."""
    inside = form.pattern.rpartition("[")[2].partition("]")[0]
    signs = [sign for sign in "_.:-" if sign in inside.replace("a-z", "").replace("0-9", "")]
    digits = ["digits"] if "0-9" in inside else []
    return ", ".join(["lower-case letters", *digits, *(f"`{sign}`" for sign in signs)])


def checked_class(thing: object, base: type, decorator: str, wanted: str) -> None:
    """Make sure that a class derives another and leaves nothing abstract.

    Raises:
        NasError: it does not; says what is missing.
    """
    if not inspect.isclass(thing) or not issubclass(thing, base):
        shown = getattr(thing, "__name__", repr(thing))
        raise NasError(f"{decorator}: {shown} is no class that derives {wanted}.")
    missing: Any = sorted(getattr(thing, "__abstractmethods__", ()))
    if missing:
        raise NasError(f"{decorator}: {thing.__name__} does not define {', '.join(missing)}.")
