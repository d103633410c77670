"""Devices: what a network's units cost on one hardware, runtime and setting.

A device is a folder: `device.yaml` (below), beside it a latency table or the name of a predictor, or both.
It is never a bare phone: the same phone under two runtimes differs by a factor of four.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from nas import content
from nas.blocks.registry import UNITS
from nas.errors import NasError, unknown
from nas.latency.metric_array import MetricArray
from nas.latency.network import network_latency
from nas.latency.predictor import Predictor, load_predictor
from nas.latency.report import Errors
from nas.latency.signature import format_signature, rows_of
from nas.latency.table import LatencyTable
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
        predictor: name or path of the predictor for units that the table lacks.
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
    predictor: str | None = None
    free: dict[str, str] = {}
    notes: str = ""

    @field_validator("free")
    @classmethod
    def _free_kinds_exist(cls, free: dict[str, str]) -> dict[str, str]:
        for kind, reason in free.items():
            if kind not in UNITS:
                raise ValueError(unknown("kind of unit", kind, UNITS))
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
    """

    file: DeviceFile
    folder: Path
    table: LatencyTable | None
    predictor: Predictor | None

    @property
    def name(self) -> str:
        """The device's name."""
        return self.file.name

    @property
    def kinds(self) -> list[str]:
        """Kinds of unit it can time, without the free ones, sorted."""
        known = set(self.table.kinds) if self.table else set()
        return sorted(known | set(self.predictor.kinds if self.predictor else ()))

    @property
    def errors(self) -> Errors | None:
        """Cross-validated errors of its predictor; None if it has only a table."""
        return self.predictor.report.errors if self.predictor else None

    def describe(self) -> str:
        """One line that names the device and its error, to print whenever it is used."""
        facts = f"{self.name} ({self.file.hardware}, {self.file.runtime.name}, batch {self.file.batch})"
        parts = [f"table of {len(self.table):,} units"] if self.table else []
        if self.predictor:
            report = self.predictor.report
            parts.append(f"XGBoost block model, {report.folds}-fold: {report.errors}")
        return f"{facts}: {'; else '.join(parts)}"

    def unit_times(self, kind: str, sizes: Mapping[str, Any]) -> UnitTimes:
        """Times of `n` units of one kind: from the table where it has them, else from the predictor.

        Args:
            kind: kind of unit.
            sizes: an integer or an int array `(n,)` per key of the kind.

        Returns:
            Milliseconds with provenance `measured` or `table` (exact entry), `predicted` (within the sizes
            the predictor was fitted on) or `estimated` (outside them); 0, `counted`, for a kind that the
            device declares free.

        Raises:
            NasError: a unit that it knows nothing of. No unit is ever free by default.
        """
        rows = rows_of(kind, sizes)
        times = UnitTimes.exact(np.zeros(len(rows)), "counted")
        if kind in self.file.free:
            return times
        missing = np.ones(len(rows), dtype=bool)
        if self.table:
            found, known = self.table.lookup(kind, rows)
            times, missing = times.filled(found, known), ~found
        if not missing.any():
            return times
        if self.predictor is None or kind not in self.predictor.kinds:
            raise NasError(self._knows_nothing_of(kind, format_signature(kind, rows[int(missing.argmax())])))
        return times.filled(missing, self.predictor.predict(kind, rows[missing]))

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
            return planned_latency(self, space, batch)
        return network_latency(self, space.lower(batch), 1)

    def _knows_nothing_of(self, kind: str, signature: str) -> str:
        if kind in self.kinds:
            why = f"its table lacks this {kind} unit, and it has no predictor for the kind"
        else:
            why = f"it knows nothing of {kind!r} units, only of {', '.join(self.kinds)}"
        return (
            f"device {self.name!r} cannot time `{signature}`: {why}. Choose blocks and sizes it knows, add "
            f"the unit to the table of {self.folder / 'device.yaml'}, or choose another device."
        )


def load_device(name_or_path: str | Path) -> Device:
    """A device by name, or in a folder.

    Raises:
        NasError: no such device (lists the known ones), or its predictor is damaged.
        ConfigError: its `device.yaml` or its table is wrong; names file, line and key.
    """
    folder = content.find("devices", name_or_path)
    document = load_document(folder / "device.yaml")
    file = validate(document, DeviceFile)
    table = LatencyTable.read(folder / file.table) if file.table else None
    try:
        predictor = load_predictor(file.predictor) if file.predictor else None
    except NasError as error:
        raise document.error(["predictor"], str(error)) from None
    return Device(file, folder, table, predictor)
