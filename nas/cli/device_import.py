"""`nas device import`: times brought into a device folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from nas.latency.merging import Brought

app = typer.Typer(help="Bring times into a device, new or known already.", no_args_is_help=True)

NameOption = Annotated[str, typer.Option(help="Name of the device.")]
OutputOption = Annotated[
    Path | None, typer.Option(help="Folder to write or to merge into; by default ./devices/NAME.")
]
ReplaceOption = Annotated[bool, typer.Option("--replace", help="Let times that contradict older ones win.")]
HardwareOption = Annotated[str, typer.Option(help="What it was timed on; the file does not say.")]


@app.command("nn-meter")
def import_nn_meter(
    file: Annotated[Path, typer.Argument(help="One of nn-Meter's *_lut_ln_v3.json files.")],
    name: NameOption,
    output: OutputOption = None,
    hardware: HardwareOption = "unknown",
    replace: ReplaceOption = False,
) -> None:
    """Turn one of nn-Meter's published JSON files into a device with an exact table."""
    from nas.latency.importer import import_nn_meter as run

    _tell(run(file, name, output or Path("devices") / name, hardware, replace=replace))


@app.command("table")
def import_table(
    file: Annotated[
        Path, typer.Argument(help="A table.csv, a file of nas device export, or a device's folder.")
    ],
    name: NameOption,
    output: OutputOption = None,
    hardware: HardwareOption = "unknown",
    runtime: Annotated[str, typer.Option(help="What ran the units.")] = "unknown",
    precision: Annotated[str, typer.Option(help="Of the numbers they computed with.")] = "unknown",
    threads: Annotated[int | None, typer.Option(help="That ran them.", min=1)] = None,
    source: Annotated[str, typer.Option(help="Where the times come from.")] = "not stated",
    licence: Annotated[str, typer.Option(help="Their licence.")] = "not stated",
    replace: ReplaceOption = False,
) -> None:
    """Bring measured and published times into a device; merge them with those of the same device already there."""
    from nas.latency.importer import Stated
    from nas.latency.importer import import_table as run

    stated = Stated(hardware, runtime, precision, threads or "unknown", source, licence)
    brought, left_out = run(file, name, output or Path("devices") / name, stated, replace=replace)
    if left_out:
        typer.echo(f"{left_out:,} predicted times were left out: a table holds measured and published ones.")
    _tell(brought)


def _tell(brought: Brought) -> None:
    device = brought.device
    counts = f"{brought.new:,} times new, {brought.same:,} known, {brought.replaced:,} replaced"
    typer.echo(f"Wrote {device.folder}: {counts}. {device.describe()}")
    fitted = device.predictor.folder if device.predictor else None
    if fitted and fitted.parent == device.folder and (brought.new or brought.replaced):
        typer.echo(
            f"Its predictor was fitted on the times before; fit it again: nas predictor fit {device.name} --device "
            f"{device.folder} --output {fitted}"
        )
