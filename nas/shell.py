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
