"""Turning tables that others published into device folders."""

from __future__ import annotations

import io
from pathlib import Path

from ruamel.yaml import YAML

from nas.errors import NasError
from nas.files import write_atomically
from nas.latency import nn_meter
from nas.latency.device import Device, DeviceFile, Runtime, load_device

_WHY = "the reshape is inside the published down-sampling and head timings"
INSIDE = {"to_tokens": _WHY, "to_map": _WHY}
_NOTES = (
    "One number per unit is published, no spread and no number of runs. Not published either: compute unit, "
    "threads, clock and TensorFlow Lite version (nn-Meter's Pixel 4 settings in general are one Cortex-A76 "
    "CPU core). The converter that built the timed networks does not quantise, hence float32. Their "
    "attention has no depth-wise convolution on V and no residual addition, so that ElasticViT's true "
    "latency is slightly higher."
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


def import_nn_meter(path: str | Path, name: str, output: str | Path, hardware: str = "unknown") -> Device:
    """Write the device folder `output` with the exact table of one of nn-Meter's JSON files.

    Args:
        path: the JSON file.
        name: name of the device.
        output: folder to write; must not hold a device yet.
        hardware: what the table was timed on; the file does not say.

    Raises:
        NasError: the file has an unknown key or a wrong time, or `output` already holds a device.
    """
    output = Path(output)
    if (output / "device.yaml").exists():
        raise NasError(f"{output} already holds a device; remove it or choose another --name or --output.")
    table = nn_meter.read(path)
    output.mkdir(parents=True, exist_ok=True)
    table.write(output / "table.csv")
    write_device_file(nn_meter_device(name, hardware, table="table.csv"), output)
    return load_device(output)


def write_device_file(file: DeviceFile, folder: Path) -> None:
    """Write `device.yaml` into `folder`, atomically."""
    yaml, text = YAML(), io.StringIO()
    yaml.width = 100
    yaml.dump(file.model_dump(exclude_none=True), text)
    write_atomically(folder / "device.yaml", text.getvalue())
