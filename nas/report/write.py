"""Writing the report of a study to a file."""

from __future__ import annotations

from pathlib import Path

from nas.files import write_atomically
from nas.store import Storage


def write_report(storage: Storage, study: str, path: str | Path) -> Path:
    """Write the report of a study as one HTML file that opens from disk, without a network.

    The file appears whole or not at all; one that is there is replaced.

    Args:
        study: its name; it need not be finished.
        path: the file; its folder is made if it is missing.

    Returns:
        The absolute path.

    Raises:
        NasError: no such study, a storage that cannot be read, or a file that cannot be written.
    """
    from nas.report.page import render  # brings Plotly with it
    from nas.report.snapshot import read_snapshot

    page = render(read_snapshot(storage, study))
    target = Path(path).expanduser().resolve()
    write_atomically(target, page)
    return target
