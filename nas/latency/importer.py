"""Turning tables that others published into device folders."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nas.errors import NasError
from nas.latency import nn_meter, ofa
from nas.latency.device import DeviceFile, Runtime, Unknown, load_device
from nas.latency.exchange import read_exported
from nas.latency.merging import TABLE, Brought, bring_in
from nas.latency.network_table import NetworkTable
from nas.measured.problems import listing

_WHY = "the reshape is inside the published down-sampling and head timings"
INSIDE = {"to_tokens": _WHY, "to_map": _WHY}
_NOTES = (
    "One number per unit is published, no spread and no number of runs. Not published either: compute unit, "
    "threads, clock and TensorFlow Lite version (nn-Meter's Pixel 4 settings in general are one Cortex-A76 "
    "CPU core). The converter that built the timed networks does not quantise, hence float32. Their "
    "attention has no depth-wise convolution on V and no residual addition, so that ElasticViT's true "
    "latency is slightly higher."
)
_OFA_NOTES = (
    "Means of a Once-for-all style lookup table. ReLU6 is read as ReLU; a classifier's time is the sum of its parts. "
    "What the table lacks, a predictor fitted on these times or their kernels answer for."
)


def nn_meter_device(
    name: str, hardware: str, *, table: str | None = None, predictor: str | None = None
) -> DeviceFile:
    """The `device.yaml` of a phone in nn-Meter's tables: what is published, and `unknown` for what is not."""
    return DeviceFile(
        version=1,
        name=name,
        hardware=hardware,
        runtime=Runtime(name="TensorFlow Lite"),
        compute_unit="unknown",
        precision="float32",
        threads="unknown",
        batch=1,
        source=f"microsoft/{nn_meter.SOURCE}",
        licence=nn_meter.LICENCE,
        table=table,
        predictor=predictor,
        free=dict(INSIDE),
        notes=_NOTES,
    )


def import_nn_meter(
    path: str | Path, name: str, output: str | Path, hardware: str = "unknown", *, replace: bool = False
) -> Brought:
    """Write the exact table of one of nn-Meter's JSON files into the device folder `output`, or merge it there.

    Args:
        path: the JSON file.
        name: name of the device.
        output: folder to write.
        hardware: what the table was timed on; the file does not say.
        replace: whether times that contradict those there take their place.

    Raises:
        NasError: the file has no known key or a wrong time, or `output` holds another device or other times.
    """
    taken = nn_meter.take(path)
    file = nn_meter_device(name, hardware, table=TABLE)
    brought = bring_in(file, taken.table, NetworkTable(), Path(output), replace=replace)
    return dataclasses.replace(brought, left=tuple(taken.lines()))


def import_ofa(path: Path, name: str, output: Path, stated: Stated, *, replace: bool = False) -> Brought:
    """Write the times of a lookup table in the form of Once-for-all into `output`, or merge them there.

    Raises:
        NasError: the file has no known key or a wrong time, or `output` holds another device or other times.
    """
    taken = ofa.read(path)
    file = stated.file(name).model_copy(update={"notes": _OFA_NOTES})
    brought = bring_in(file, taken.table, NetworkTable(), output, replace=replace)
    return dataclasses.replace(brought, left=tuple(taken.lines()))


@dataclass(frozen=True)
class Stated:
    """What a CSV file of times does not say of its device; `unknown` where the user does not either."""

    hardware: str = "unknown"
    runtime: str = "unknown"
    precision: str = "unknown"
    threads: int | Unknown = "unknown"
    source: str = "not stated"
    licence: str = "not stated"

    def file(self, name: str) -> DeviceFile:
        """As a `device.yaml`."""
        return DeviceFile(
            version=1,
            name=name,
            hardware=self.hardware,
            runtime=Runtime(name=self.runtime),
            compute_unit="unknown",
            precision=self.precision,
            threads=self.threads,
            batch=1,
            source=self.source,
            licence=self.licence,
            table=TABLE,
        )


def import_table(
    path: Path, name: str, output: Path, stated: Stated, *, replace: bool = False
) -> tuple[Brought, int]:
    """Write the times of a CSV file (`table.csv`, `nas device export`) or of another device folder into `output`.

    Returns:
        What became of the folder, and how many lines were left out because they are predictions.

    Raises:
        NasError: the file is wrong, or `output` holds another device or other times.
    """
    if path.is_dir():
        device = load_device(path)
        if device.table is None:
            raise NasError(f"{path}: that device has no table of times.")
        file = device.file.model_copy(
            update={"name": name, "predictor": None, "table": TABLE, "networks": None}
        )
        return bring_in(file, device.table, device.networks, output, replace=replace), 0
    read = read_exported(path)
    brought = bring_in(stated.file(name), read.table, NetworkTable(), output, replace=replace)
    return dataclasses.replace(brought, left=_untimed(path, read.untimed)), read.left_out


def _untimed(path: Path, lines: Sequence[int]) -> tuple[str, ...]:
    if not lines:
        return ()
    places = listing([f"line {line}" for line in lines])
    return (f"{path}: {len(lines):,} lines hold no time (empty, -1, 0, …) and are left out: {places}",)
