"""How the read-only commands print: tables for people, JSON, CSV and YAML for programs."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas.metrics import Metric
from nas.printable import json_safe, printable

if TYPE_CHECKING:
    from rich.table import Table

    from nas.store import Storage, TrialRow


_WIDE = 400  # columns


class Format(StrEnum):
    """How listings are printed."""

    table = "table"
    json = "json"


class DataFormat(StrEnum):
    """How data that other programs read is printed."""

    table = "table"
    json = "json"
    csv = "csv"
    yaml = "yaml"


FormatOption = Annotated[Format, typer.Option("-f", "--format", help="How to print.")]
DataFormatOption = Annotated[DataFormat, typer.Option("-f", "--format", help="How to print.")]
StorageOption = Annotated[
    str | None,
    typer.Option(
        "--storage",
        help="Where studies are: a URL. By default NAS_STORAGE, or sqlite:///nas.db.",
        metavar="URL",
    ),
]
SpaceFileOption = Annotated[
    str | None,
    typer.Option("--space", help="File of the space, if it is not found by its name.", metavar="FILE"),
]
QuietOption = Annotated[bool, typer.Option("-q", "--quiet", help="Print only the result and errors.")]
TrialArgument = Annotated[
    str,
    typer.Argument(help="An arch id, the beginning of one, STUDY/NUMBER or STUDY/PRESET.", metavar="TRIAL"),
]
StudyArgument = Annotated[str, typer.Argument(help="A study's name.", metavar="STUDY")]


def open_storage(url: str | None) -> Storage:
    """The storage, for reading only.

    Raises:
        NasError: there is none at that URL; nothing is created.
    """
    from nas.store import Storage

    return Storage(url, read_only=True)


def echo(message: object = "", *, err: bool = False, nl: bool = True) -> None:
    """Print a message; names in it do not steer the terminal. Every command prints by this."""
    typer.echo(printable(message), err=err, nl=nl)


def say_stopped(what: str) -> None:
    """Say that a command was stopped and how to go on, if there is still a terminal that shows it."""
    with suppress(OSError):
        echo(f"stopped; {what}", err=True)


def echo_json(data: Any) -> None:
    """Print data as JSON; what is no number becomes null."""
    text = json.dumps(finite(data), indent=2, ensure_ascii=False, allow_nan=False)
    echo(json_safe(text))


def echo_yaml(data: Any) -> None:
    """Print data as YAML, keys in their order."""
    from ruamel.yaml import YAML

    yaml, text = YAML(), io.StringIO()
    yaml.default_flow_style = False
    yaml.dump(finite(data), text)
    echo(text.getvalue(), nl=False)


def echo_csv(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print rows as CSV under the keys of all of them, in order of first appearance."""
    heads = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, heads, lineterminator="\n")
    if heads:
        writer.writeheader()
    writer.writerows({key: _cell(value) for key, value in row.items()} for row in rows)
    echo(text.getvalue(), nl=False)


def _cell(value: Any) -> Any:
    return printable(value) if isinstance(value, str) else value


def new_table(*heads: str, right: Sequence[int] = ()) -> Table:
    """An empty table; columns named by position in `right` are set flush right."""
    from rich import box
    from rich.table import Table

    table = Table(*map(text, heads), box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for column in table.columns:
        column.overflow = "fold"  # half a name is the name of something else
    for index in right:
        table.columns[index].justify = "right"
    return table


def echo_table(table: Table) -> None:
    """Print a table, as wide as the terminal; as wide as it likes where nobody looks at a terminal."""
    from rich.console import Console

    for column in table.columns:
        column.header = printable(column.header) if isinstance(column.header, str) else column.header
        column._cells[:] = [printable(cell) if isinstance(cell, str) else cell for cell in column._cells]
    console = Console()
    console.print(table) if console.is_terminal else Console(width=_WIDE).print(table)


def new_grid() -> Table:
    """An empty table without heads and lines, for keys and values."""
    from rich.table import Table

    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    return grid


def text(value: object) -> str:
    """Text as rich prints it verbatim: square brackets are its markup; see `printable` for the rest."""
    from rich.markup import escape

    return escape(printable(value))


def finite(data: Any) -> Any:
    """Plain data without NaN and infinities, which JSON lacks."""
    if isinstance(data, Mapping):
        return {str(key): finite(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [finite(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data


def trial_json(trial: TrialRow) -> dict[str, Any]:
    """A trial as the listings print it."""
    return {
        "arch_id": trial.arch_id,
        "trial": trial.number,
        "state": trial.state,
        "generation": trial.generation,
        "arch": dict(trial.arch),
        "metrics": metrics_json(trial_metrics(trial)),
    }


def metrics_json(metrics: Mapping[str, Metric]) -> dict[str, Any]:
    """Metrics by name: `{"accuracy": {"value": …, "unit": …, "provenance": …}}`."""
    return {name: metric.to_json() for name, metric in metrics.items()}


def trial_metrics(trial: TrialRow) -> dict[str, Metric]:
    """Every metric of a trial: those of the search by name, later ones as `STAGE.NAME`.

    Where a later stage has a metric in several provenances, `[PROVENANCE]` stands behind it. These
    are the titles of the columns of `Storage.front_frame` too.
    """
    found = dict(trial.metrics)
    later = [item for item in trial.stored if item.stage != "search"]
    for item in later:
        title = f"{item.stage}.{item.name}"
        if sum(other.stage == item.stage and other.name == item.name for other in later) > 1:
            title += f"[{item.metric.provenance}]"
        found[title] = item.metric
    return found


def trial_cells(trial: TrialRow) -> dict[str, Any]:
    """A trial as one flat row: each metric with its unit, provenance and interval, then decisions."""
    row: dict[str, Any] = {"arch_id": trial.arch_id, "trial": trial.number, "generation": trial.generation}
    for name, metric in trial_metrics(trial).items():
        row[name] = metric.value
        row[f"{name}.unit"], row[f"{name}.provenance"] = metric.unit, metric.provenance
        row[f"{name}.low"], row[f"{name}.high"] = metric.low, metric.high
    return row | {f"arch.{name}": value for name, value in trial.arch.items()}
