"""Remarks of runtimes that say nothing about the model."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr


@contextmanager
def without_lines(beginning: str) -> Iterator[None]:
    """Hold back lines on standard error that begin so; all others follow at the end, also where it is an error."""
    held = io.StringIO()
    try:
        with redirect_stderr(held):
            yield
    finally:
        kept = [line for line in held.getvalue().splitlines(keepends=True) if not line.startswith(beginning)]
        sys.stderr.write("".join(kept))
