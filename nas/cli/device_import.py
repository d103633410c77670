"""`nas device import`: times brought into a device folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nas.cli.output import echo

if TYPE_CHECKING:
    from nas.latency.merging import Brought

SIGNATURES = """Bring times into a device, new or known already.

\b
What files of each kind look like:
  nn-meter (JSON)
    {"conv_56_24_32_6_2_hard_swish_5_se": 0.42, …}
  ofa (YAML, JSON)
    expanded_conv-input:56x56x24-output:56x56x24-expand:6-kernel:3-
    stride:1-idskip:1: {mean: 1.9, std: 0.1, count: 50}
  table (CSV)
    signature,median_ms,spread_ms,runs,provenance,source
    signature,ms,low_ms,high_ms,provenance,level,spread_ms,runs,source

\b
Times of whole architectures go to nas run as they are:
  --latency table:FILE.csv#COLUMN  a column per decision, or arch_str
                                   (|nor_conv_3x3~0|+|…|), and metrics
  --latency table:FILE.json#cifar10.pixel3_latency  HW-NAS-Bench
"""

app = typer.Typer(help=SIGNATURES, no_args_is_help=True)

NameOption = Annotated[str, typer.Option(help="Name of the device.")]
OutputOption = Annotated[
    Path | None, typer.Option(help="Folder to write or to merge into; by default ./devices/NAME.")
]
ReplaceOption = Annotated[bool, typer.Option("--replace", help="Let times that contradict older ones win.")]
HardwareOption = Annotated[str, typer.Option(help="What it was timed on; the file does not say.")]
RuntimeOption = Annotated[str, typer.Option(help="What ran the units.")]
PrecisionOption = Annotated[str, typer.Option(help="Of the numbers they computed with.")]
ThreadsOption = Annotated[int | None, typer.Option(help="That ran them.", min=1)]
SourceOption = Annotated[str, typer.Option(help="Where the times come from.")]
LicenceOption = Annotated[str, typer.Option(help="Their licence.")]


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


@app.command("ofa")
def import_ofa(
    file: Annotated[
        Path, typer.Argument(help="A lookup table of ProxylessNAS or Once-for-all, YAML or JSON.")
    ],
    name: NameOption,
    output: OutputOption = None,
    hardware: HardwareOption = "unknown",
    runtime: RuntimeOption = "unknown",
    precision: PrecisionOption = "unknown",
    threads: ThreadsOption = None,
    source: SourceOption = "not stated",
    licence: LicenceOption = "not stated",
    replace: ReplaceOption = False,
) -> None:
    """Turn a lookup table in the form of Once-for-all into a device: its units that are units of nas."""
    from nas.latency.importer import Stated
    from nas.latency.importer import import_ofa as run

    stated = Stated(hardware, runtime, precision, threads or "unknown", source, licence)
    _tell(run(file, name, output or Path("devices") / name, stated, replace=replace))


@app.command("table")
def import_table(
    file: Annotated[
        Path, typer.Argument(help="A table.csv, a file of nas device export, or a device's folder.")
    ],
    name: NameOption,
    output: OutputOption = None,
    hardware: HardwareOption = "unknown",
    runtime: RuntimeOption = "unknown",
    precision: PrecisionOption = "unknown",
    threads: ThreadsOption = None,
    source: SourceOption = "not stated",
    licence: LicenceOption = "not stated",
    replace: ReplaceOption = False,
) -> None:
    """Bring measured and published times into a device; merge them with those of the same device already there."""
    from nas.latency.importer import Stated
    from nas.latency.importer import import_table as run

    stated = Stated(hardware, runtime, precision, threads or "unknown", source, licence)
    brought, left_out = run(file, name, output or Path("devices") / name, stated, replace=replace)
    if left_out:
        echo(f"{left_out:,} predicted times were left out: a table holds measured and published ones.")
    _tell(brought)


def _tell(brought: Brought) -> None:
    for line in brought.left:
        echo(line)
    device = brought.device
    counts = f"{brought.new:,} times new, {brought.same:,} known, {brought.replaced:,} replaced"
    echo(f"Wrote {device.folder}: {counts}. {device.describe()}")
    fitted = device.predictor.folder if device.predictor else None
    if fitted and fitted.parent == device.folder and (brought.new or brought.replaced):
        echo(
            f"Its predictor was fitted on the times before; fit it again: nas predictor fit {device.name} --device "
            f"{device.folder} --output {fitted}"
        )
