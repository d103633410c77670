"""Devices: what a network's units cost on one hardware, runtime and setting.

A device is a folder: `device.yaml` (below), beside it a latency table or the name of a predictor, or both.
It is never a bare phone: the same phone under two runtimes differs by a factor of four.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from nas import content
from nas.blocks.registry import UNITS
from nas.errors import NasError, unprovided
from nas.files import write_atomically
from nas.latency.metric_array import MetricArray
from nas.latency.network import network_latency
from nas.latency.network_table import NetworkTable
from nas.latency.predictor import Predictor, load_predictor
from nas.latency.profiling.runtimes.base import RUNTIMES, runtime_of
from nas.latency.report import Errors
from nas.latency.table import LatencyTable
from nas.latency.timed_units import TimedUnits
from nas.latency.times import UnitTimes
from nas.yamlfile import load_document, validate

Unknown = Literal["unknown"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Runtime(_Part):
    """The software that runs the network; `unknown` where the source does not say."""

    name: str
    version: str = "unknown"


class DeviceFile(_Part):
    """`device.yaml`.

    Attributes:
        version: of this format.
        name: the device's name, that of its folder.
        hardware, compute_unit, precision, threads: what ran the units; `unknown` if the source does not say.
        runtime: the software that ran them.
        batch: images per run.
        source, licence: of the numbers.
        table: latency table in the same folder; looked up first.
        networks: table of whole networks in the same folder; what does not add up is learned from it.
        predictor: for units that the table lacks: a folder inside this one, else a name or a path.
        free: kinds of unit that cost no time of their own, each with the reason.
        notes: what else a reader must know.
    """

    version: Literal[1]
    name: str = Field(min_length=1)
    hardware: str
    runtime: Runtime
    compute_unit: str
    precision: str
    threads: int | Unknown
    batch: int = Field(ge=1)
    source: str
    licence: str
    table: str | None = None
    networks: str | None = None
    predictor: str | None = None
    free: dict[str, str] = {}
    notes: str = ""

    @property
    def trains(self) -> bool:
        """Whether its times are those of training steps, as the runtime of that name says of itself."""
        return self.runtime.name in RUNTIMES and runtime_of(self.runtime.name).trains

    @field_validator("free")
    @classmethod
    def _free_kinds_exist(cls, free: dict[str, str]) -> dict[str, str]:
        for kind, reason in free.items():
            if kind not in UNITS:
                raise ValueError(unprovided("kind of unit", kind, UNITS))
            if not reason.strip():
                raise ValueError(f"say why {kind!r} costs no time of its own.")
        return free

    @model_validator(mode="after")
    def _knows_something(self) -> DeviceFile:
        if self.table is None and self.predictor is None:
            raise ValueError("a device needs a 'table', a 'predictor', or both.")
        return self


@dataclass(frozen=True)
class Device:
    """A device and all it knows about times.

    Attributes:
        file: its `device.yaml`.
        folder: where it lies.
        table: measured or published times, or None.
        predictor: model for the units the table lacks, or None.
        networks: measured times of whole networks.
    """

    file: DeviceFile
    folder: Path
    table: LatencyTable | None
    predictor: Predictor | None
    networks: NetworkTable = field(default_factory=NetworkTable)

    @cached_property
    def units(self) -> TimedUnits:
        """What it knows of units."""
        residual = self.predictor.residual if self.predictor else None
        parts = residual.report.kinds if residual else None
        return TimedUnits(self.name, self.table, self.predictor, frozenset(self.file.free), parts)

    @property
    def name(self) -> str:
        """The device's name."""
        return self.file.name

    @property
    def kinds(self) -> list[str]:
        """Kinds of unit in its table or its predictor's trees, without the free ones, sorted."""
        known = set(self.table.kinds) if self.table else set()
        return sorted(known | set(self.predictor.kinds if self.predictor else ()))

    @property
    def errors(self) -> Errors | None:
        """Errors of its predictor for units left out; None if it has none."""
        return self.predictor.report.errors if self.predictor else None

    @property
    def network_errors(self) -> Errors | None:
        """Errors of its predictor for whole networks left out; None if none were measured."""
        residual = self.predictor.report.residual if self.predictor else None
        return residual.errors if residual else None

    def describe(self) -> str:
        """One line that names the device and its error, to print whenever it is used."""
        facts = f"{self.name} ({self.file.hardware}, {self.file.runtime.name}, batch {self.file.batch})"
        parts = [f"table of {len(self.table):,} units"] if self.table else []
        if self.predictor:
            parts.append(self.predictor.describe())
        return f"{facts}: {'; else '.join(parts)}"

    def unit_times(self, kind: str, sizes: Mapping[str, Any]) -> UnitTimes:
        """Times of `n` units of one kind: from the table where it has them, else from the predictor.

        Args:
            kind: kind of unit.
            sizes: an integer or an int array `(n,)` per key of the kind.

        Returns:
            Milliseconds with provenance `measured` or `table` (exact entry), `predicted` (within the sizes
            the predictor was fitted on) or `estimated` (outside them, or of a kind it does not know); 0,
            `counted`, for a kind that the device declares free.

        Raises:
            NasError: a unit that a device without a predictor does not know. No unit is ever free by default.
        """
        return self.units.unit_times(kind, sizes)

    def latency(self, space: Any, batch: Any) -> MetricArray:
        """Latency of networks in ms, float64 `(n,)`, with unit, provenance and interval.

        Args:
            space: with a network behind it (`nas.space.Space`).
            batch: n archs, or one.

        Raises:
            NasError: a unit that the device knows nothing of, or a space without a network.
        """
        from nas.latency.plan import planned_latency
        from nas.space.batch import ArchBatch

        if isinstance(batch, ArchBatch):
            return planned_latency(self.units, space, batch)
        return network_latency(self.units, space.lower(batch), 1)


def load_device(name_or_path: str | Path, *, with_predictor: bool = True) -> Device:
    """A device by name, or in a folder.

    Args:
        name_or_path: of the device.
        with_predictor: False leaves its predictor unread, for fitting another to its times.

    Raises:
        NasError: no such device (lists the known ones), or its predictor is damaged.
        ConfigError: its `device.yaml` or its table is wrong; names file, line and key.
    """
    folder = content.find("devices", name_or_path)
    document = load_document(folder / "device.yaml")
    file = validate(document, DeviceFile)
    table = LatencyTable.read(folder / file.table) if file.table else None
    try:
        predictor = _predictor(folder, file.predictor) if file.predictor and with_predictor else None
    except NasError as error:
        raise document.error(["predictor"], str(error)) from None
    networks = NetworkTable.read(folder / file.networks) if file.networks else NetworkTable()
    return Device(file, folder, table, predictor, networks)


def _predictor(folder: Path, name: str) -> Predictor:
    inside = folder / name
    return load_predictor(inside if (inside / "report.json").is_file() else name)


def write_device_file(file: DeviceFile, folder: Path) -> None:
    """Write `device.yaml` into `folder`, atomically."""
    from ruamel.yaml import YAML

    yaml, text = YAML(), io.StringIO()
    yaml.width = 100
    yaml.dump(file.model_dump(exclude_none=True), text)
    write_atomically(folder / "device.yaml", text.getvalue())
