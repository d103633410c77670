"""`nas device`: what is known of devices."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from nas.cli.device_profile import profile

if TYPE_CHECKING:
    from nas.latency.device import Device
    from nas.latency.report import Errors

app = typer.Typer(help="Devices: list, show, check, import.", no_args_is_help=True)
import_app = typer.Typer(help="Turn a published latency table into a device.", no_args_is_help=True)
app.add_typer(import_app, name="import")
app.command()(profile)


class Format(StrEnum):
    """How listings are printed."""

    table = "table"
    json = "json"


FormatOption = Annotated[Format, typer.Option("-f", "--format", help="How to print.")]
NameArgument = Annotated[str, typer.Argument(help="A device's name, or its folder.", metavar="NAME|PATH")]


@app.command("list")
def list_devices(form: FormatOption = Format.table) -> None:
    """List the known devices and how far their latencies are off."""
    from nas import content
    from nas.latency.device import load_device

    devices = [load_device(name) for name in content.names("devices")]
    if form is Format.json:
        typer.echo(json.dumps([_facts(device) for device in devices], indent=2))
        return
    table = Table("name", "hardware", "runtime", "table", "within ±10 %", "mean error")
    for device in devices:
        units = f"{len(device.table):,} units" if device.table else ""
        facts = [device.name, device.file.hardware, device.file.runtime.name, units]
        table.add_row(*facts, *_error_cells(device.errors))
    Console().print(table)


@app.command()
def show(name: NameArgument, form: FormatOption = Format.table) -> None:
    """Show one device: its setting, its units, its errors and what they were fitted on."""
    from nas.latency.device import load_device

    device = load_device(name)
    if form is Format.json:
        typer.echo(json.dumps({**_facts(device), "units": _units(device)}, indent=2))
        return
    console = Console()
    console.print(device.describe(), highlight=False)
    console.print(_settings(device))
    console.print(_unit_table(device))


@app.command()
def check(name: NameArgument) -> None:
    """Check a device's files: facts, every line of the table, every model of the predictor."""
    from nas.latency.device import load_device

    device = load_device(name)
    if device.predictor:
        for kind in device.predictor.kinds:
            device.predictor.model(kind)
    Console().print(f"{device.folder}: good. {device.describe()}", highlight=False)


@import_app.command("nn-meter")
def import_nn_meter(
    file: Annotated[Path, typer.Argument(help="One of nn-Meter's *_lut_ln_v3.json files.")],
    name: Annotated[str, typer.Option(help="Name of the device.")],
    output: Annotated[Path | None, typer.Option(help="Folder to write; by default ./devices/NAME.")] = None,
    hardware: Annotated[str, typer.Option(help="What it was timed on; the file does not say.")] = "unknown",
) -> None:
    """Turn one of nn-Meter's published JSON files into a device with an exact table."""
    from nas.latency.importer import import_nn_meter as run

    device = run(file, name, output or Path("devices") / name, hardware)
    Console().print(f"Wrote {device.folder}. {device.describe()}", highlight=False)


def _facts(device: Device) -> dict[str, Any]:
    return {
        **device.file.model_dump(exclude_none=True),
        "folder": str(device.folder),
        "table_units": len(device.table) if device.table else 0,
        "kinds": device.kinds,
        "errors": device.errors.model_dump() if device.errors else None,
    }


def _units(device: Device) -> dict[str, dict[str, Any]]:
    units: dict[str, dict[str, Any]] = {kind: {"table_units": _tabled(device, kind)} for kind in device.kinds}
    if device.predictor:
        parts = {"errors", "coverage", "outside", "ranges", "words"}
        for kind, about in device.predictor.report.kinds.items():
            units[kind] |= about.model_dump(include=parts)
    return units


def _settings(device: Device) -> Table:
    file, grid = device.file, Table.grid(padding=(0, 2))
    rows = [
        ("runtime", f"{file.runtime.name}, version {file.runtime.version}"),
        ("compute unit", file.compute_unit),
        ("precision", file.precision),
        ("threads", str(file.threads)),
        ("batch", str(file.batch)),
        ("source", file.source),
        ("licence", file.licence),
        ("notes", file.notes),
        *((f"free: {kind}", reason) for kind, reason in file.free.items()),
        *((f"fitted {kind}", text) for kind, text in _fitted_ranges(device).items()),
        ("folder", str(device.folder)),
    ]
    for key, value in rows:
        grid.add_row(key, value)
    return grid


def _unit_table(device: Device) -> Table:
    table = Table("kind", "in table", "within ±10 %", "mean error", "mean error just outside")
    fitted = device.predictor.report.kinds if device.predictor else {}
    for kind in device.kinds:
        about = fitted.get(kind)
        inside = _error_cells(about.errors if about else None)
        outside = _error_cells(about.outside if about else None)
        table.add_row(kind, f"{_tabled(device, kind):,}", *inside, outside[1])
    return table


def _fitted_ranges(device: Device) -> dict[str, str]:
    fitted = device.predictor.report.kinds if device.predictor else {}
    return {
        kind: ", ".join(
            f"{key} {low}–{high}" if low < high else f"{key} {low}" for key, (low, high) in ranges
        )
        for kind, ranges in ((kind, about.ranges.items()) for kind, about in fitted.items())
    }


def _tabled(device: Device, kind: str) -> int:
    return len(device.table.rows(kind)) if device.table and kind in device.table.kinds else 0


def _error_cells(errors: Errors | None) -> list[str]:
    return [errors.within, f"{100 * errors.mean:.1f} %"] if errors else ["", ""]
