"""Files that are never half-written."""

from __future__ import annotations

import os
from pathlib import Path

from nas.errors import NasError


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write aside, then rename; an interruption leaves the old file or the new one, never a part.

    Raises:
        NasError: the file cannot be written.
    """
    aside = path.with_name(f".{path.name}.writing")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        data = content.encode() if isinstance(content, str) else content
        with aside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except OSError as error:
        raise NasError(f"{path}: cannot be written: {error.strerror or error}.") from None
