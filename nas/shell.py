"""Commands as a shell takes them."""

from __future__ import annotations

import shlex
from collections.abc import Sequence


def command_line(command: Sequence[str], names: Sequence[str], storage: str | None) -> str:
    """A command of this program, quoted.

    Args:
        command: its words and options.
        names: what it is about; set apart by `--` where one could be read as an option.
        storage: URL to name; None where the default is meant.
    """
    options = ["--storage", storage] if storage is not None else []
    apart = ["--"] if any(name.startswith("-") for name in names) else []
    return shlex.join([*command, *options, *apart, *names])


def resumed(arguments: Sequence[str], dropped: Sequence[str] = ()) -> str:
    """The command that goes on where this one stopped, quoted.

    Args:
        arguments: of this program, its name apart.
        dropped: flags that are not given again.
    """
    kept = [argument for argument in arguments if argument not in ("--resume", *dropped)]
    end = kept.index("--") if "--" in kept else len(kept)
    return shlex.join(["nas", *kept[:end], "--resume", *kept[end:]])
