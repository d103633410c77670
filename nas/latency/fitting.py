"""Fitting from files: a table of units, networks, spaces and known devices by name."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nas.errors import NasError
from nas.latency import nn_meter
from nas.latency.device import Device, load_device
from nas.latency.fit import fit_predictor
from nas.latency.importer import INSIDE
from nas.latency.network import latency_of, network_sums
from nas.latency.network_table import NetworkTable
from nas.latency.predictor import Predictor
from nas.latency.report import DataFacts, Errors
from nas.latency.table import LatencyTable
from nas.latency.timed_units import LEVELS, TimedUnits
from nas.latency.times import FloatArray
from nas.space.batch import Arch
from nas.space.space import Space

UNSTATED = "not stated"


@dataclass(frozen=True)
class Timed:
    """Times read from files.

    Attributes:
        table: of units.
        networks: of whole networks.
        data: where the units' times come from.
        free: kinds of unit that cost no time of their own.
        notes: what was left of the file, in lines.
    """

    table: LatencyTable
    networks: NetworkTable
    data: DataFacts
    free: frozenset[str]
    notes: tuple[str, ...] = ()


def read_times(
    table: Path, networks: Path | None = None, source: str = UNSTATED, licence: str = UNSTATED
) -> Timed:
    """Times from a latency table (CSV), or one of nn-Meter's published JSON files, and a network table.

    Raises:
        NasError: a file is missing or wrong, names file and line; or a source or licence for nn-Meter's files,
            whose own are known.
    """
    free: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()
    if table.suffix == ".json":
        if (source, licence) != (UNSTATED, UNSTATED):
            raise NasError(f"{table}: source and licence of nn-Meter's files are known; do not state others.")
        taken = nn_meter.take(table)
        units, free, notes = taken.table, frozenset(INSIDE), tuple(taken.lines())
        source, licence = nn_meter.SOURCE, nn_meter.LICENCE
    else:
        units = LatencyTable.read(table)
    digest = hashlib.sha256(table.read_bytes()).hexdigest()
    data = DataFacts(file=table.name, sha256=digest, source=source, licence=licence, units=len(units))
    return Timed(units, NetworkTable.read(networks) if networks else NetworkTable(), data, free, notes)


def times_of_device(device: Device) -> Timed:
    """The times in a device's folder.

    Raises:
        NasError: it has no table.
    """
    if device.table is None or device.file.table is None:
        raise NasError(f"device {device.name!r} has no table of timed units to fit on.")
    file, path = device.file, device.folder / device.file.table
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    data = DataFacts(
        file=path.name, sha256=digest, source=file.source, licence=file.licence, units=len(device.table)
    )
    return Timed(device.table, device.networks, data, frozenset(file.free))


def fit_times(
    name: str,
    timed: Timed,
    spaces: Sequence[Space],
    like: Sequence[str] = (),
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> Predictor:
    """A predictor of these times (`nas.latency.fit.fit_predictor`), which may correct devices given by name.

    Raises:
        NasError: an unknown device, one without predictor, or networks of a space that was not given.
    """
    lacking = set(timed.networks.spaces) - {space.name for space in spaces}
    if lacking:
        raise NasError(f"there are networks of the space {min(lacking)!r}; give it with --space.")
    sources = [predictor_of(load_device(device)) for device in like]
    return fit_predictor(
        timed.table,
        name=name,
        data=timed.data,
        seed=seed,
        networks=timed.networks if len(timed.networks) else None,
        spaces={space.name: space for space in spaces},
        free=timed.free,
        like=sources or None,
        progress=progress,
    )


def predictor_of(device: Device) -> Predictor:
    """The device's predictor.

    Raises:
        NasError: it has none.
    """
    if device.predictor is None:
        raise NasError(f"device {device.name!r} has no predictor; fit one (nas predictor fit).")
    return device.predictor


@dataclass(frozen=True)
class Judged:
    """Predictions against measured times.

    Attributes:
        what: kind of unit, `networks of SPACE`, or `archs of SPACE`.
        level: which level predicted; empty for networks and archs.
        errors: relative errors.
        coverage: share of the truth inside the 90 % interval.
        spearman: rank correlation of archs; None for all else, or without variation.
    """

    what: str
    level: str
    errors: Errors
    coverage: float
    spearman: float | None = None


def evaluate(predictor: Predictor, timed: Timed, spaces: Sequence[Space]) -> list[Judged]:
    """A predictor against times, without looking them up: by kind and level, and for networks."""
    name = predictor.report.name
    parts = predictor.residual.report.kinds if predictor.residual else None
    units = TimedUnits(name, None, predictor, timed.free, parts)
    found = []
    for kind in timed.table.kinds:
        rows, ms = timed.table.rows(kind), timed.table.times(kind).ms
        times, levels = predictor.predict(kind, rows), units.levels(kind, rows)
        inside = (times.low <= ms) & (ms <= times.high)
        for code in np.unique(levels):
            at = levels == code
            errors = Errors.of(ms[at], times.ms[at])
            found.append(Judged(kind, LEVELS[code], errors, float(inside[at].mean())))
    for space in spaces:
        archs, times = timed.networks.of(space)
        if archs:
            found.append(_networks(units, space, archs, times.ms))
    return found


def _networks(units: TimedUnits, space: Space, archs: Sequence[Arch], ms: FloatArray) -> Judged:
    sums = [network_sums(units, space.lower(arch), 1) for arch in archs]
    latency = latency_of(units, {key: np.concatenate([one[key] for one in sums]) for key in sums[0]})
    inside = (latency.low <= ms) & (ms <= latency.high)
    return Judged(f"networks of {space.name}", "", Errors.of(ms, np.asarray(latency)), float(inside.mean()))
