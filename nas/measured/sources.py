"""Tables by what their file is: CSV, or the JSON of a benchmark."""

from __future__ import annotations

from pathlib import Path

from nas.measured.sheet import Sheet, read_sheet


def read_source(path: Path) -> Sheet:
    """The cells of a table.

    Raises:
        NasError: no such file, or none that can be read.
    """
    if path.suffix.lower() == ".json":
        from nas.measured.benchmark import read_benchmark

        return read_benchmark(path)
    return read_sheet(path)
