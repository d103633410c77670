"""What the studies of predictors share: arguments, data files, tables."""

from __future__ import annotations

import argparse
import csv
import io
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from nas.errors import NasError
from nas.files import write_atomically

HERE = Path(__file__).resolve().parent
Row = Mapping[str, object]


def arguments(name: str, about: str, *, data: bool = True) -> argparse.ArgumentParser:
    """A parser with the options of every study: `--output`, and `--data` if it reads data files."""
    parser = argparse.ArgumentParser(prog=f"python studies/predictors/{name}.py", description=about)
    if data:
        parser.add_argument(
            "--data", type=Path, default=Path("data"), help="folder with the data files (default ./data)"
        )
    parser.add_argument("--output", type=Path, default=HERE / name, help="folder for tables and figures")
    return parser


def data_file(folder: Path, name: str, source: str) -> Path:
    """A data file, in the folder or anywhere one level below it.

    Raises:
        NasError: it is not there; says where it is published.
    """
    found = [path for path in (folder / name, *sorted(folder.glob(f"*/{name}"))) if path.is_file()]
    if not found:
        raise NasError(
            f"{folder / name}: no such file. It is published as {source}; name its folder with --data."
        )
    return found[0]


def say(line: str) -> None:
    """Progress, on standard error."""
    print(line, file=sys.stderr, flush=True)


def write_tables(folder: Path, name: str, rows: Sequence[Row]) -> None:
    """`NAME.csv` for programs and `NAME.md` for people, the same rows."""
    columns = list(rows[0])
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([[shown(row[column]) for column in columns] for row in rows])
    write_atomically(folder / f"{name}.csv", text.getvalue())
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(shown(row[column]) for column in columns) + " |" for row in rows]
    write_atomically(folder / f"{name}.md", "\n".join(lines) + "\n")


def shown(value: object) -> str:
    """A cell: four digits of a fraction."""
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def run(main: object) -> None:
    """Run a study; what a person can act on is printed without a traceback."""
    assert callable(main)
    try:
        main()
    except NasError as error:
        sys.exit(f"Error: {error}")
