"""Errors of a plug-in, as one message with file and line."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nas.errors import ConfigError, NasError


@contextmanager
def explained(path: str, name: str) -> Iterator[None]:
    """Turn what a plug-in raises while it is loaded into an error for people.

    Args:
        path: of its file, where that is known.
        name: of the plug-in.

    Raises:
        NasError: what went wrong, in which file and line.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise
    except SyntaxError as error:
        raise ConfigError(
            f"the plug-in cannot be read: {error.msg}.",
            path=error.filename or path or name,
            line=error.lineno,
        ) from None
    except BaseException as error:
        where, line = _place(error, path)
        raise ConfigError(_said(error), path=where or name, line=line) from None


def _place(error: BaseException, path: str) -> tuple[str, int | None]:
    """File and line of the plug-in at which it failed: the last in its file, or in its folder, if it is a package."""
    frames = traceback.extract_tb(error.__traceback__)
    folder = Path(path).parent if Path(path).name == "__init__.py" else None
    inside = [
        frame
        for frame in frames
        if frame.filename == path or (folder is not None and folder in Path(frame.filename).parents)
    ]
    return (inside[-1].filename, inside[-1].lineno) if inside else (path, None)


def _said(error: BaseException) -> str:
    if isinstance(error, NasError):
        return str(error)
    text = str(error).strip().splitlines()
    what = f"{type(error).__name__}: {text[0].rstrip('.')}" if text else type(error).__name__
    hint = ""
    if isinstance(error, ModuleNotFoundError):
        hint = f" Install {error.name!r}; a plug-in of several files is a package, given by its name: --plugin PACKAGE."
    return f"the plug-in failed while it was loaded: {what}.{hint}"
