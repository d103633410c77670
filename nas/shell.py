"""Commands as a shell takes them."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from nas.plugins.records import options


def command_line(command: Sequence[str], names: Sequence[str], storage: str | None) -> str:
    """A command of this program, quoted.

    Args:
        command: its words and options, `nas` first; the plug-ins that are loaded are named behind it.
        names: what it is about; set apart by `--` where one could be read as an option.
        storage: URL to name; None where the default is meant.
    """
    where = ["--storage", storage] if storage is not None else []
    apart = ["--"] if any(name.startswith("-") for name in names) else []
    return shlex.join([*with_plugins(command), *where, *apart, *names])


def with_plugins(command: Sequence[str]) -> list[str]:
    """A command's words, `nas` first, with the plug-ins that are loaded now."""
    return [*command[:1], *options(), *command[1:]]


def words_of(command: str) -> list[str]:
    """A command line that was noted; none where an earlier version did not quote it."""
    try:
        return shlex.split(command)
    except ValueError:
        return []


def resumed(arguments: Sequence[str], dropped: Sequence[str] = ()) -> str:
    """The command that goes on where this one stopped, quoted.

    Args:
        arguments: of this program, its name apart.
        dropped: flags that are not given again.
    """
    kept = [argument for argument in arguments if argument not in ("--resume", *dropped)]
    end = kept.index("--") if "--" in kept else len(kept)
    return shlex.join(["nas", *kept[:end], "--resume", *kept[end:]])
