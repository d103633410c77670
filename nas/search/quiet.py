"""Lines that a library in C prints, whatever it is told, held back."""

from __future__ import annotations

import ctypes
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress

STDOUT = 1


@contextmanager
def without_printed(beginning: str) -> Iterator[None]:
    """Hold back lines that begin so and are printed to the process's standard output; all others follow at the end.

    Where there is no standard output, or it cannot be redirected, nothing is held back.
    """
    _flush()
    try:
        before = os.dup(STDOUT)
    except OSError:
        yield
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), STDOUT)
        try:
            yield
        finally:
            _flush()
            os.dup2(before, STDOUT)
            os.close(before)
            held.seek(0)
            for line in held:
                if not line.startswith(beginning.encode()):
                    os.write(STDOUT, line)


def _flush() -> None:
    """What Python and C have printed and not yet written."""
    with suppress(ValueError, OSError):  # closed
        sys.stdout.flush()
    with suppress(OSError, AttributeError, TypeError):  # no such library here
        ctypes.CDLL(None).fflush(None)
