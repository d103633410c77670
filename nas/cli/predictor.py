"""`nas predictor`: fitting latency predictors, and how far they are off."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas.cli.device_tables import error_cells, kind_table, percent, sentences
from nas.cli.output import Format, FormatOption, echo_table, new_table

if TYPE_CHECKING:
    from nas.latency.arch import Pairs
    from nas.latency.fitting import Timed
    from nas.latency.predictor import Predictor
    from nas.latency.report import Errors
    from nas.space import Space

app = typer.Typer(help="Latency predictors: fit, evaluate, list, show.", no_args_is_help=True)

NameArgument = Annotated[
    str, typer.Argument(help="A predictor's name or folder, or a device's name.", metavar="NAME|PATH")
]
DeviceOption = Annotated[
    str | None, typer.Option("--device", help="Times in the folder of this device.", metavar="NAME|PATH")
]
TableOption = Annotated[
    Path | None, typer.Option("--table", help="Times of units: a table.csv, or nn-Meter's JSON.")
]
NetworksOption = Annotated[
    Path | None, typer.Option("--networks", help="Times of whole networks: a networks.csv.")
]
SpacesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--space", help="A space whose networks are meant; repeat for several.", metavar="NAME|FILE"
    ),
]
ArchsOption = Annotated[
    Path | None,
    typer.Option(
        "--archs", help="Latencies of archs: a CSV with one column per decision, or a networks.csv."
    ),
]
ColumnOption = Annotated[str, typer.Option("--column", help="For --archs: the column with ms.")]
StudyOption = Annotated[str | None, typer.Option("--study", help="Latencies measured in this study.")]
StorageOption = Annotated[
    str | None, typer.Option("--storage", help="Where studies are: a URL.", metavar="URL")
]


@app.command()
def fit(
    name: Annotated[str, typer.Argument(help="Name of the predictor.")],
    table: TableOption = None,
    networks: NetworksOption = None,
    device: DeviceOption = None,
    archs: ArchsOption = None,
    column: ColumnOption = "latency_ms",
    study: StudyOption = None,
    storage: StorageOption = None,
    space: SpacesOption = None,
    like: Annotated[
        list[str] | None,
        typer.Option(help="A known device to correct by these times; repeat for several.", metavar="DEVICE"),
    ] = None,
    source: Annotated[str, typer.Option(help="For --table: where its times come from.")] = "not stated",
    licence: Annotated[str, typer.Option(help="For --table: the licence of its times.")] = "not stated",
    seed: Annotated[int, typer.Option(help="Of the cross-validation's folds.", min=0)] = 0,
    output: Annotated[
        Path | None, typer.Option(help="Folder to write; by default ./predictors/NAME.")
    ] = None,
) -> None:
    """Fit a predictor of units (--table, --device) or of whole archs (--archs, --study)."""
    folder, spaces = output or Path("predictors") / name, _spaces(space)
    if archs or study:
        from nas.latency.arch import fit_arch_predictor

        pairs = _pairs(spaces, archs, column, study, storage)
        found = fit_arch_predictor(spaces[0], pairs.batch, pairs.ms, seed=seed, name=name, data=pairs.data)
        found.write(folder)
        typer.echo(
            f"wrote {folder}: {found.report.data.units} archs, left out in folds: {found.report.errors}"
        )
        return
    from nas.latency.fitting import fit_times

    timed = _timed(table, networks, device, source, licence)
    predictor = fit_times(name, timed, spaces, like or (), seed, typer.echo)
    predictor.write(folder)
    for line in sentences(predictor.report):
        typer.echo(line)
    typer.echo(f"wrote {folder}: {predictor.describe()}")


@app.command()
def evaluate(
    name: NameArgument,
    table: TableOption = None,
    networks: NetworksOption = None,
    device: DeviceOption = None,
    archs: ArchsOption = None,
    column: ColumnOption = "latency_ms",
    study: StudyOption = None,
    storage: StorageOption = None,
    space: SpacesOption = None,
    form: FormatOption = Format.table,
) -> None:
    """Compare a predictor with times: its errors, and how often its 90 % interval holds them."""
    spaces = _spaces(space)
    if archs or study:
        from nas.latency.arch import evaluate as score
        from nas.latency.arch import load_arch_predictor

        pairs = _pairs(spaces, archs, column, study, storage)
        typer.echo(str(score(load_arch_predictor(_folder(name), spaces[0]), pairs)))
        return
    from nas.latency.fitting import evaluate as run

    judged = run(_unit_predictor(name), _timed(table, networks, device), spaces)
    if form is Format.json:
        data = [
            {"what": one.what, "level": one.level, "coverage": one.coverage, **one.errors.model_dump()}
            for one in judged
        ]
        typer.echo(json.dumps(data, indent=2))
        return
    shown = new_table(
        "what", "level", "number", "within ±10 %", "mean error", "largest", "in the 90 % interval"
    )
    for one in judged:
        facts = [one.what, one.level, f"{one.errors.units:,}", *error_cells(one.errors)]
        shown.add_row(*facts, percent(one.errors.max), percent(one.coverage))
    echo_table(shown)


@app.command("list")
def list_predictors(form: FormatOption = Format.table) -> None:
    """List the predictors and how far they are off."""
    from nas import content

    reports = [_raw(content.find("predictors", name)) for name in content.names("predictors")]
    if form is Format.json:
        typer.echo(json.dumps(reports, indent=2))
        return
    shown = new_table("name", "of", "fitted on", "within ±10 %", "mean error")
    for report in reports:
        number = f"{report['data']['units']:,}"
        shown.add_row(report["name"], _kind_of(report), number, *error_cells(_errors(report)))
    echo_table(shown)


@app.command()
def show(name: NameArgument, form: FormatOption = Format.table) -> None:
    """Show a predictor's report: what it was fitted on, each level's errors, and whether its intervals hold."""
    folder = _folder(name)
    raw = _raw(folder)
    if form is Format.json:
        typer.echo(json.dumps(raw, indent=2))
        return
    data = raw["data"]
    typer.echo(f"{raw['name']}: of {_kind_of(raw)}, {data['units']:,} from {data['file']}")
    typer.echo(f"source {data['source']}; licence {data['licence']}")
    if raw.get("kind") == "archs":
        typer.echo(f"held out: {_errors(raw)}; Spearman {raw['spearman']}")
        return
    report = _unit_predictor(name).report
    if report.errors:
        told = f"held out: {report.errors}; {percent(report.coverage)} in the 90 % interval"
        typer.echo(told)
    echo_table(kind_table(report))
    for line in sentences(report):
        typer.echo(line)


def _timed(
    table: Path | None, networks: Path | None, device: str | None, source: str = "", licence: str = ""
) -> Timed:
    from nas.errors import NasError
    from nas.latency.device import load_device
    from nas.latency.fitting import read_times, times_of_device

    if (table is None) == (device is None):
        raise NasError("give the times: either --table FILE or --device NAME.")
    if device is not None:
        return times_of_device(load_device(device))
    assert table is not None
    return read_times(table, networks, source, licence)


def _pairs(
    spaces: Sequence[Space], archs: Path | None, column: str, study: str | None, storage: str | None
) -> Pairs:
    from nas.errors import NasError
    from nas.latency.arch import pairs_from_csv, pairs_from_study

    if len(spaces) != 1:
        raise NasError("latencies of archs need the one --space they belong to.")
    if archs is not None:
        return pairs_from_csv(spaces[0], archs, column=column)
    from nas.store import Storage

    assert study is not None
    return pairs_from_study(Storage(storage, read_only=True), study, spaces[0])


def _spaces(names: list[str] | None) -> list[Space]:
    from nas.space import load_space

    return [load_space(name) for name in names or ()]


def _unit_predictor(name: str) -> Predictor:
    from nas.latency.predictor import load_predictor

    return load_predictor(_folder(name))


def _folder(name: str) -> Path:
    """The folder of a predictor, or that of a device's."""
    from nas import content
    from nas.errors import NasError
    from nas.latency.device import load_device

    try:
        return content.find("predictors", name)
    except NasError as error:
        if name not in content.names("devices"):
            raise
        predictor = load_device(name).predictor
        if predictor is None or predictor.folder is None:
            raise NasError(f"device {name!r} has no predictor.") from error
        return predictor.folder


def _raw(folder: Path) -> dict[str, Any]:
    """The report of a predictor of either sort, checked as such."""
    from pydantic import ValidationError

    from nas.errors import NasError
    from nas.latency.arch.report import ArchReport
    from nas.latency.report import Report

    path = folder / "report.json"
    text = path.read_text(encoding="utf-8")
    try:
        model = ArchReport if '"kind": "archs"' in text else Report
        return model.model_validate_json(text).model_dump(mode="json")
    except ValidationError as error:
        raise NasError(f"{path}: is no report of a predictor: {error.errors()[0]['msg']}.") from None


def _kind_of(report: dict[str, Any]) -> str:
    return f"archs of {report['space']}" if report.get("kind") == "archs" else "units"


def _errors(report: dict[str, Any]) -> Errors | None:
    from nas.latency.report import Errors

    return Errors.model_validate(report["errors"]) if report["errors"] else None
