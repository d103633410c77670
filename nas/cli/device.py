"""`nas device`: what is known of devices."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas.cli.device_import import app as import_app
from nas.cli.device_profile import profile
from nas.cli.device_tables import coverage_table, error_cells, sentences
from nas.cli.output import Format, FormatOption, echo, echo_table, new_grid, new_table, text

if TYPE_CHECKING:
    from rich.table import Table

    from nas.latency.coverage import KnownUnits
    from nas.latency.device import Device
    from nas.space import Space

app = typer.Typer(help="Devices: list, show, diff, check, profile, import, export.", no_args_is_help=True)
app.add_typer(import_app, name="import")
app.command()(profile)


SpaceOption = Annotated[
    str | None, typer.Option(help="A space, by name or file, whose units to look at.", metavar="NAME|FILE")
]
NameArgument = Annotated[str, typer.Argument(help="A device's name, or its folder.", metavar="NAME|PATH")]


@app.command("list")
def list_devices(form: FormatOption = Format.table) -> None:
    """List the known devices and how far their latencies are off."""
    from nas import content
    from nas.latency.device import load_device

    devices = [load_device(name) for name in content.names("devices")]
    if form is Format.json:
        echo(json.dumps([_facts(device) for device in devices], indent=2))
        return
    table = new_table("name", "hardware", "runtime", "table", "networks", "within ±10 %", "mean error")
    for device in devices:
        units = f"{len(device.table):,} units" if device.table else ""
        networks = f"{len(device.networks):,}" if len(device.networks) else ""
        facts = [device.name, device.file.hardware, device.file.runtime.name, units, networks]
        table.add_row(*facts, *_errors(device))
    echo_table(table)


@app.command()
def show(name: NameArgument, space: SpaceOption = None, form: FormatOption = Format.table) -> None:
    """Show one device: its setting, its units, its errors, and what it knows of a space's units."""
    from nas.latency.coverage import known_units
    from nas.latency.device import load_device

    device = load_device(name)
    known = list(known_units(device.units, _space(space))) if space else []
    if form is Format.json:
        covered = {"space": {"name": space, "units": _coverage_facts(known)}} if known else {}
        echo(json.dumps({**_facts(device), "units": _units(device), **covered}, indent=2))
        return
    echo(device.describe())
    echo_table(_settings(device))
    echo_table(_unit_table(device))
    if device.predictor:
        for line in sentences(device.predictor.report):
            echo(line)
    if known:
        echo_table(coverage_table(known))


@app.command()
def diff(
    first: NameArgument,
    second: Annotated[str, typer.Argument(help="Another device's name, or its folder.", metavar="NAME|PATH")],
    space: SpaceOption = None,
    form: FormatOption = Format.table,
) -> None:
    """Compare two devices: settings, and times of the units in both tables, or of a space's units."""
    from nas.latency.compare import compare, settings_that_differ
    from nas.latency.device import load_device

    a, b = load_device(first), load_device(second)
    settings, times = settings_that_differ(a, b), compare(a, b, _space(space) if space else None)
    if form is Format.json:
        echo(json.dumps({"settings": settings, "times": [asdict(one) for one in times]}, indent=2))
        return
    table = new_table("setting", a.name, b.name)
    for setting, values in settings.items():
        table.add_row(setting, *values)
    echo_table(table)
    table = new_table("kind", "units", f"{b.name} / {a.name}", "5 %", "95 %", "Spearman")
    for one in times:
        quantiles = [f"{value:.2f}" for value in (one.median, one.low, one.high)]
        rank = "" if one.spearman is None else f"{one.spearman:.4f}"
        table.add_row(one.kind or "all", f"{one.units:,}", *quantiles, rank)
    echo_table(table)


@app.command()
def export(
    name: NameArgument,
    file: Annotated[Path, typer.Argument(help="CSV file to write.")],
    space: SpaceOption = None,
) -> None:
    """Write what a device knows of its table's units, and of a space's, as one CSV file."""
    from nas.latency.device import load_device
    from nas.latency.exchange import export as run

    device = load_device(name)
    lines = run(device, file, _space(space) if space else None)
    echo(f"Wrote {lines:,} units to {file}. {device.describe()}")


@app.command()
def check(name: NameArgument) -> None:
    """Check a device's files: facts, every line of its tables, every model of the predictor."""
    from nas.latency.device import load_device

    device = load_device(name)
    if device.predictor:
        device.predictor.check()
    echo(f"{device.folder}: good. {device.describe()}")


def _errors(device: Device) -> list[str]:
    """Those of units, else those of whole networks, marked."""
    if device.errors or not device.network_errors:
        return error_cells(device.errors)
    return [f"{cell} (networks)" for cell in error_cells(device.network_errors)]


def _facts(device: Device) -> dict[str, Any]:
    return {
        **device.file.model_dump(exclude_none=True),
        "folder": str(device.folder),
        "table_units": len(device.table) if device.table else 0,
        "measured_networks": len(device.networks),
        "kinds": device.kinds,
        "errors": device.errors.model_dump() if device.errors else None,
        "network_errors": device.network_errors.model_dump() if device.network_errors else None,
    }


def _units(device: Device) -> dict[str, dict[str, Any]]:
    units: dict[str, dict[str, Any]] = {kind: {"table_units": _tabled(device, kind)} for kind in device.kinds}
    if device.predictor:
        parts = {"errors", "coverage", "outside", "ranges", "words"}
        for kind, about in device.predictor.report.kinds.items():
            units[kind] |= about.model_dump(include=parts)
    return units


def _settings(device: Device) -> Table:
    file, grid = device.file, new_grid()
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
        grid.add_row(key, text(value))
    return grid


def _unit_table(device: Device) -> Table:
    table = new_table("kind", "in table", "within ±10 %", "mean error", "mean error just outside")
    fitted = device.predictor.report.kinds if device.predictor else {}
    for kind in device.kinds:
        about = fitted.get(kind)
        inside = error_cells(about.errors if about else None)
        outside = error_cells(about.outside if about else None)
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


def _space(name: str) -> Space:
    from nas.space import load_space

    return load_space(name)


def _coverage_facts(known: Sequence[KnownUnits]) -> dict[str, Any]:
    return {
        one.kind: {
            "units": len(one.rows),
            "layers": float(one.use.sum()),
            "levels": {
                level: {"of_units": units, "of_layers": layers}
                for level, (units, layers) in one.shares().items()
            },
        }
        for one in known
    }
