"""`--plugin`, which every command takes: moved before the command's name, where the program's own options stand."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from nas.errors import NasError

OPTION = "--plugin"
HELP = (
    "A Python file or module with blocks, strategies, … of your own; repeat. Any command takes it, anywhere."
)
EPILOG = f"Every command also takes {OPTION} FILE|MODULE: {HELP[0].lower()}{HELP[1:]}"
PluginOption = Annotated[list[str] | None, typer.Option(OPTION, help=HELP, metavar="FILE|MODULE")]


def plugins_first(arguments: Sequence[str]) -> list[str]:
    """The arguments with each `--plugin X` before all others; those behind `--` are left alone.

    Raises:
        NasError: an option without a value.
    """
    end = list(arguments).index("--") if "--" in arguments else len(arguments)
    moved: list[str] = []
    rest: list[str] = []
    words = iter(arguments[:end])
    for word in words:
        name, given, value = word.partition("=")
        if name != OPTION:
            rest.append(word)
            continue
        value = value if given else next(words, "")
        if not value or value.startswith("-"):
            raise NasError(f"{OPTION} needs a Python file or the name of a module.")
        moved += [OPTION, value]
    return [*moved, *rest, *arguments[end:]]


def load_given(typed: Sequence[str]) -> None:
    """Load what was typed, what `NAS_PLUGINS` names and what is installed; for a help text, nothing.

    Raises:
        NasError: see `nas.plugins.loading.load_plugin`.
    """
    if any(word in ("-h", "--help") for word in sys.argv):
        return
    from nas.plugins.loading import VARIABLE, load_all

    load_all(typed, os.environ.get(VARIABLE, ""))


def explain(app: typer.Typer) -> None:
    """Name the option below the help of every command."""
    for command in app.registered_commands:
        command.epilog = EPILOG
    for group in app.registered_groups:
        if group.typer_instance is not None:
            explain(group.typer_instance)
