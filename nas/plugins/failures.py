"""Errors of a plug-in, as one message with file and line."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nas.errors import ConfigError, NasError
from nas.plugins.content import module_of
from nas.plugins.records import LOADED
from nas.whose import place_of


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


def culprit(error: BaseException) -> str | None:
    """`FILE:LINE` of the loaded plug-in in which an error arose while it ran, or of a module that it imports.

    None where neither took part.
    """
    paths = [path for plugin in LOADED.values() if (path := _file_of(plugin.name))]
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if any(_within(frame.filename, path) for path in paths):
            return f"{frame.filename}:{frame.lineno}"
    return (place_of(error) or None) if paths else None


def _file_of(plugin: str) -> str:
    return str(getattr(module_of(plugin), "__file__", "") or "")


def _within(file: str, path: str) -> bool:
    """Whether a file is that of a plug-in, or lies in the folder of one that is a package."""
    if Path(path).name != "__init__.py":
        return file == path
    return Path(path).parent in Path(file).parents


def _place(error: BaseException, path: str) -> tuple[str, int | None]:
    """File and line of the plug-in at which it failed: the last in its file, or in its folder, if it is a package."""
    frames = traceback.extract_tb(error.__traceback__)
    inside = [frame for frame in frames if _within(frame.filename, path)]
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
