"""The commands that apply to a study or an architecture, ready for a shell."""

from __future__ import annotations

import shlex
from collections.abc import Sequence


def of_study(study: str, storage: str | None) -> list[str]:
    """What there is to do with a study.

    Args:
        storage: URL to name in the commands; None where the default is meant.
    """
    return [
        _line(["nas", "study", "show"], [study], storage),
        _line(["nas", "front"], [study], storage),
        _line(["nas", "report"], [study], storage),
        _line(["nas", "measure", f"--study={study}"], [], storage),
        _line(["nas", "reproduce"], [study], storage),
    ]


def of_arch(arch_id: str, storage: str | None) -> list[str]:
    """What there is to do with one architecture."""
    return [
        _line(["nas", command], [arch_id], storage) for command in ("show", "measure", "retrain", "export")
    ]


def _line(command: Sequence[str], names: Sequence[str], storage: str | None) -> str:
    options = ["--storage", storage] if storage is not None else []
    apart = ["--"] if any(name.startswith("-") for name in names) else []
    return shlex.join([*command, *options, *apart, *names])
