"""Times brought into a device folder: a new one, or one that holds times of the same device already."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nas.errors import NasError
from nas.latency.device import Device, DeviceFile, load_device, write_device_file
from nas.latency.network_table import NetworkTable
from nas.latency.signature import format_signature
from nas.latency.table import Entry, LatencyTable
from nas.yamlfile import load_document, validate

TABLE, NETWORKS = "table.csv", "networks.csv"
_SETTINGS = ("hardware", "runtime", "compute_unit", "precision", "threads", "batch")
_LISTED = 10


@dataclass(frozen=True)
class Brought:
    """What became of a device folder.

    Attributes:
        device: as it is now.
        new, same, replaced: how many of the times were not there before, were there alike, or took another's place.
        left: what was left of the file that they came from, in lines.
    """

    device: Device
    new: int
    same: int
    replaced: int
    left: tuple[str, ...] = ()


def bring_in(
    file: DeviceFile, table: LatencyTable, networks: NetworkTable, folder: Path, *, replace: bool = False
) -> Brought:
    """Write times into a device folder.

    Args:
        file: what the times are of. A folder that holds a device keeps its own file, but must not contradict it.
        table, networks: the times.
        folder: of the device; it need not exist.
        replace: whether a time that contradicts one in the folder takes its place.

    Raises:
        NasError: another device lies there, or its times contradict these (lists both); nothing is written then.
    """
    there = _file(folder)
    if there is not None:
        _refuse_another(folder, there, file)
    old = LatencyTable.read(folder / there.table) if there and there.table else LatencyTable({})
    old_networks = NetworkTable.read(folder / there.networks) if there and there.networks else NetworkTable()
    contradictions = [*_units(old, table), *_networks(old_networks, networks)]
    if contradictions and not replace:
        raise NasError(_told(folder, contradictions))
    merged = LatencyTable({**dict(old.items()), **dict(table.items())})
    merged_networks = NetworkTable(
        (space, arch, entry) for one in (old_networks, networks) for (space, _), (arch, entry) in one.items()
    )
    known = there or file
    update = {
        "table": known.table or TABLE,
        "networks": known.networks or (NETWORKS if len(networks) else None),
    }
    _write(known.model_copy(update=update), there, merged, merged_networks, folder)
    new = len(merged) - len(old) + len(merged_networks) - len(old_networks)
    same = len(table) + len(networks) - new - len(contradictions)
    return Brought(load_device(folder), new, same, len(contradictions))


def _write(
    file: DeviceFile, there: DeviceFile | None, table: LatencyTable, networks: NetworkTable, folder: Path
) -> None:
    """The tables, and last the file that refers to them."""
    assert file.table is not None
    if len(table):
        table.write(folder / file.table)
    if file.networks:
        networks.write(folder / file.networks)
    if file != there:
        write_device_file(file, folder)


def _file(folder: Path) -> DeviceFile | None:
    path = folder / "device.yaml"
    return validate(load_document(path), DeviceFile) if path.exists() else None


def _refuse_another(folder: Path, there: DeviceFile, new: DeviceFile) -> None:
    """A setting that either side calls unknown contradicts nothing."""
    differences = [
        f"{name} {a!r} there, {b!r} now"
        for name in _SETTINGS
        if (a := _setting(there, name)) != (b := _setting(new, name)) and "unknown" not in (a, b)
    ]
    if differences:
        raise NasError(
            f"{folder}: another device lies there: {'; '.join(differences)}. Times of both do not belong into one "
            f"table; give another --name or --output."
        )


def _setting(file: DeviceFile, name: str) -> str:
    value = getattr(file, name)
    return str(value.name if name == "runtime" else value)


def _units(old: LatencyTable, new: LatencyTable) -> Iterator[str]:
    for key, entry in new.items():
        if key in old and old[key] != entry:
            yield f"{format_signature(*key)}: {_time(old[key])} there, {_time(entry)} now"


def _networks(old: NetworkTable, new: NetworkTable) -> Iterator[str]:
    for key, (_, entry) in new.items():
        if key in old and old[key] != entry:
            yield f"network {' '.join(key)}: {_time(old[key])} there, {_time(entry)} now"


def _time(entry: Entry) -> str:
    return f"{entry.median_ms:g} ms ({entry.source or entry.provenance})"


def _told(folder: Path, contradictions: list[str]) -> str:
    rest = len(contradictions) - _LISTED
    lines = [*contradictions[:_LISTED], *([f"and {rest} more"] if rest > 0 else [])]
    listing = "\n  ".join(lines)
    return (
        f"{folder}: {len(contradictions)} times contradict those there; nothing was written. Give --replace to take "
        f"the new ones.\n  {listing}"
    )
