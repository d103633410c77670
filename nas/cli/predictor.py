"""`nas predictor`: fitting latency predictors, and how far they are off."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas.cli.device_tables import error_cells, kind_table, percent, sentences
from nas.cli.output import Format, FormatOption, echo, echo_table, new_table
from nas.cli.predictor_times import Given

if TYPE_CHECKING:
    from nas.latency.fitting import Judged
    from nas.latency.predictor import Predictor
    from nas.latency.report import DataFacts, Errors
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
ColumnOption = Annotated[
    str | None, typer.Option("--column", help="For --archs: the column with ms, by default latency_ms.")
]
StudyOption = Annotated[str | None, typer.Option("--study", help="Latencies measured in this study.")]
StorageOption = Annotated[
    str | None, typer.Option("--storage", help="For --study: where studies are, a URL.", metavar="URL")
]
LIKE = "Repeat for several. With --archs a CSV that has the same archs' latencies elsewhere."


@app.command()
def fit(
    name: Annotated[str, typer.Argument(help="Name of the predictor.")],
    table: TableOption = None,
    networks: NetworksOption = None,
    device: DeviceOption = None,
    archs: ArchsOption = None,
    column: ColumnOption = None,
    study: StudyOption = None,
    storage: StorageOption = None,
    space: SpacesOption = None,
    like: Annotated[
        list[str] | None,
        typer.Option(help=f"A known device to correct by these times. {LIKE}", metavar="DEVICE|CSV[#COLUMN]"),
    ] = None,
    source: Annotated[
        str | None, typer.Option(help="Where the times of --table or --archs come from.")
    ] = None,
    licence: Annotated[str | None, typer.Option(help="Their licence.")] = None,
    seed: Annotated[int, typer.Option(help="Of the cross-validation's folds.", min=0)] = 0,
    output: Annotated[
        Path | None, typer.Option(help="Folder to write; by default ./predictors/NAME.")
    ] = None,
) -> None:
    """Fit a predictor of units (--table, --device) or of whole archs (--archs, --study)."""
    folder, spaces = output or Path("predictors") / name, _spaces(space)
    given = Given(
        table, networks, device, archs, column, study, storage, source, licence, spaces, tuple(like or ())
    )
    if given.of_archs():
        _fit_archs(name, given, seed, folder)
        return
    from nas.latency.fitting import fit_times

    timed = given.timed()
    _note(timed.notes)
    predictor = fit_times(name, timed, spaces, given.like, seed, echo)
    predictor.write(folder)
    for line in sentences(predictor.report):
        echo(line)
    echo(f"wrote {folder}: {predictor.describe()}")


@app.command()
def evaluate(
    name: NameArgument,
    table: TableOption = None,
    networks: NetworksOption = None,
    device: DeviceOption = None,
    archs: ArchsOption = None,
    column: ColumnOption = None,
    study: StudyOption = None,
    storage: StorageOption = None,
    space: SpacesOption = None,
    like: Annotated[
        list[str] | None,
        typer.Option(
            help="For --archs: CSVs with the latencies elsewhere, as in the fit.", metavar="CSV[#COLUMN]"
        ),
    ] = None,
    form: FormatOption = Format.table,
) -> None:
    """Compare a predictor with times: its errors, and how often its 90 % interval holds them."""
    spaces = _spaces(space)
    given = Given(
        table, networks, device, archs, column, study, storage, spaces=spaces, like=tuple(like or ())
    )
    judged, known = _judged_archs(name, given) if given.of_archs() else _judged_units(name, given)
    if form is Format.json:
        data = [_judged_facts(one) | {"fitted_on_these_times": known} for one in judged]
        echo(json.dumps(data, indent=2))
        return
    if known:
        echo("These are the times the predictor was fitted on: its errors elsewhere are larger.")
    shown = new_table(
        "what", "level", "number", "within ±10 %", "mean error", "largest", "Spearman", "in the 90 % interval"
    )
    for one in judged:
        facts = [one.what, one.level, f"{one.errors.units:,}", *error_cells(one.errors)]
        rank = "" if one.spearman is None else f"{one.spearman:.3f}"
        shown.add_row(*facts, percent(one.errors.max), rank, percent(one.coverage))
    echo_table(shown)


@app.command("list")
def list_predictors(form: FormatOption = Format.table) -> None:
    """List the predictors and how far they are off."""
    from nas import content

    reports = [_raw(content.find("predictors", name)) for name in content.names("predictors")]
    if form is Format.json:
        echo(json.dumps(reports, indent=2))
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
        echo(json.dumps(raw, indent=2))
        return
    data = raw["data"]
    echo(f"{raw['name']}: of {_kind_of(raw)}, {data['units']:,} from {data['file']}")
    echo(f"source {data['source']}; licence {data['licence']}")
    if raw.get("kind") == "archs":
        echo(f"held out: {_errors(raw)}; Spearman {raw['spearman']}")
        return
    report = _unit_predictor(name).report
    if report.errors:
        told = f"held out: {report.errors}; {percent(report.coverage)} in the 90 % interval"
        echo(told)
    echo_table(kind_table(report))
    for line in sentences(report):
        echo(line)


def _note(lines: Sequence[str]) -> None:
    """Say how a file was read, beside what the command prints."""
    for line in lines:
        echo(line, err=True)


def _fit_archs(name: str, given: Given, seed: int, folder: Path) -> None:
    from nas.latency.arch import fit_arch_predictor

    pairs = given.pairs()
    _note(pairs.notes)
    others = given.elsewhere(pairs) or None
    found = fit_arch_predictor(
        given.spaces[0], pairs.batch, pairs.ms, seed=seed, others=others, name=name, data=pairs.data
    )
    found.write(folder)
    said = f", with those on {', '.join(others)} known" if others else ""
    echo(f"wrote {folder}: {found.report.data.units} archs{said}, left out in folds: {found.report.errors}")


def _judged_archs(name: str, given: Given) -> tuple[list[Judged], bool]:
    """How far off archs are, and whether the predictor was fitted on these very times."""
    from nas.latency.arch import evaluate as score
    from nas.latency.arch import load_arch_predictor
    from nas.latency.fitting import Judged

    pairs = given.pairs()
    _note(pairs.notes)
    predictor = load_arch_predictor(_folder(name), given.spaces[0])
    scores = score(predictor, pairs, given.elsewhere(pairs))
    what = f"archs of {given.spaces[0].name}"
    judged = Judged(what, "", scores.errors, scores.coverage, scores.spearman)
    return [judged], _same(predictor.report.data, pairs.data)


def _judged_units(name: str, given: Given) -> tuple[list[Judged], bool]:
    """How far off units are by kind and level, and whether the predictor was fitted on these very times."""
    from nas.errors import NasError
    from nas.latency.fitting import evaluate as run

    if given.like:
        raise NasError("--like belongs to --archs: a predictor of units carries the devices it corrects.")
    predictor, timed = _unit_predictor(name), given.timed()
    _note(timed.notes)
    return run(predictor, timed, given.spaces), _same(predictor.report.data, timed.data)


def _judged_facts(one: Judged) -> dict[str, Any]:
    facts = {"what": one.what, "level": one.level, "coverage": one.coverage, "spearman": one.spearman}
    return {**facts, **one.errors.model_dump()}


def _same(fitted: DataFacts, given: DataFacts) -> bool:
    return bool(given.sha256) and fitted.sha256 == given.sha256


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
