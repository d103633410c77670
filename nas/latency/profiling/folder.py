"""The folder that profiling writes: a device, whole after every batch.

`device.yaml`, `table.csv`, `networks.csv`, `predictor/`, and `profiling.json` with the sentinel's baseline, by which
times of different days are made comparable, and where the spaces of the networks were read from.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.errors import NasError
from nas.files import write_atomically
from nas.latency.device import DeviceFile
from nas.latency.network_table import NetworkTable
from nas.latency.predictor import Predictor
from nas.latency.report import DataFacts
from nas.latency.table import LatencyTable
from nas.yamlfile import load_document, validate

TABLE, NETWORKS, PREDICTOR, STATE = "table.csv", "networks.csv", "predictor", "profiling.json"
SOURCE = "measured by nas device profile"
LICENCE = "none stated: the numbers belong to whoever measured them"
_COMPARED = ("hardware", "runtime", "version", "compute unit", "precision", "threads", "batch")


@dataclass(frozen=True)
class Identity:
    """What must not change between two runs of profiling one device.

    Attributes:
        hardware: as it calls itself.
        runtime, version: the software that runs the units.
        threads: it may use.
    """

    hardware: str
    runtime: str
    version: str
    threads: int
    batch: int = 1

    def facts(self) -> dict[str, str]:
        """What is compared, by name."""
        fixed = {"compute unit": "CPU", "precision": "float32", "batch": str(self.batch)}
        own = {"hardware": self.hardware, "runtime": self.runtime, "version": self.version}
        return {**own, **fixed, "threads": str(self.threads)}


class DeviceFolder:
    """A profiled device on disk.

    Attributes:
        path: the folder.
        table, networks: what is timed so far.
        baseline: the sentinel's time in ms when profiling began, or None.
        spaces: name or path that each space profiled here was read from, by the space's name.
    """

    def __init__(self, path: Path, name: str, identity: Identity, date: str, notes: str = "") -> None:
        """Open a folder, new or to be continued.

        Args:
            path: it need not exist.
            name: the device's name.
            identity: of the device that is reached now.
            date: `YYYY-MM-DD`, for the source of new times.
            notes: what else must be known of the device.

        Raises:
            NasError: another device lies there (shows the difference), or its files are wrong.
        """
        self.path, self.name, self.identity, self._date, self._notes = path, name, identity, date, notes
        self.table, self.networks = LatencyTable({}), NetworkTable()
        self.baseline: float | None = None
        self.spaces: dict[str, str] = {}
        self._sentinel = ""
        if (path / "device.yaml").exists():
            self._refuse_another(validate(load_document(path / "device.yaml"), DeviceFile))
        if (path / TABLE).exists():
            self.table = LatencyTable.read(path / TABLE)
        if (path / NETWORKS).exists():
            self.networks = NetworkTable.read(path / NETWORKS)
        if (path / STATE).exists():
            self._read_state()

    @property
    def source(self) -> str:
        """Where new times come from, as tables state it."""
        return f"{self.name} {self._date}"

    def start(self, baseline: float, sentinel: str) -> None:
        """Keep the sentinel's baseline, in ms.

        Raises:
            NasError: the folder cannot be written.
        """
        self.baseline, self._sentinel = baseline, sentinel
        self._write_state()

    def remember(self, space: str, source: str) -> None:
        """Keep where a space was read from, once the baseline is known.

        Raises:
            NasError: the folder cannot be written.
        """
        if self.spaces.get(space) != source:
            self.spaces[space] = source
            self._write_state()

    def save(self, table: LatencyTable, networks: NetworkTable) -> None:
        """Keep what is timed so far; the folder is a valid device from then on.

        Raises:
            NasError: the folder cannot be written.
        """
        if len(networks) > len(self.networks):
            networks.write(self.path / NETWORKS)
        if len(table) > len(self.table) or not (self.path / TABLE).exists():
            table.write(self.path / TABLE)
        first = not (self.path / "device.yaml").exists() or (len(networks) > 0 and not len(self.networks))
        self.table, self.networks = table, networks
        if first:
            self._describe()

    def keep(self, predictor: Predictor) -> None:
        """Keep a predictor fitted on the tables, and refer to it.

        Raises:
            NasError: the folder cannot be written.
        """
        predictor.write(self.path / PREDICTOR)
        self._describe()

    def data(self) -> DataFacts:
        """Facts about the table, for the predictor's report."""
        digest = hashlib.sha256((self.path / TABLE).read_bytes()).hexdigest()
        return DataFacts(file=TABLE, sha256=digest, source=SOURCE, licence=LICENCE, units=len(self.table))

    def _describe(self) -> None:
        from ruamel.yaml import YAML

        facts: dict[str, Any] = {
            "version": 1,
            "name": self.name,
            "hardware": self.identity.hardware,
            "runtime": {"name": self.identity.runtime, "version": self.identity.version},
            "compute_unit": "CPU",
            "precision": "float32",
            "threads": self.identity.threads,
            "batch": self.identity.batch,
            "source": f"{SOURCE}, {self._date}",
            "licence": LICENCE,
            "table": TABLE,
        }
        if len(self.networks):
            facts["networks"] = NETWORKS
        if (self.path / PREDICTOR / "report.json").exists():
            facts["predictor"] = PREDICTOR
        if self._notes:
            facts["notes"] = self._notes
        text = io.StringIO()
        yaml = YAML()
        yaml.width = 110
        yaml.dump(facts, text)
        write_atomically(self.path / "device.yaml", text.getvalue())

    def _refuse_another(self, file: DeviceFile) -> None:
        if not file.source.startswith(SOURCE):
            raise NasError(
                f"{self.path}: the device there was not made by profiling (source: {file.source}). Give another "
                f"--name or --output."
            )
        there = {
            "hardware": file.hardware,
            "runtime": file.runtime.name,
            "version": file.runtime.version,
            "compute unit": file.compute_unit,
            "precision": file.precision,
            "threads": str(file.threads),
            "batch": str(file.batch),
        }
        differences = _differences(there, self.identity.facts())
        if differences:
            raise NasError(
                f"{self.path}: another device lies there: {differences}. Times of both do not belong into one "
                f"table; give another --name or --output."
            )

    def _write_state(self) -> None:
        state = {"sentinel": self._sentinel, "sentinel_ms": self.baseline, "spaces": self.spaces}
        write_atomically(self.path / STATE, json.dumps(state, indent=1) + "\n")

    def _read_state(self) -> None:
        path = self.path / STATE
        try:
            state = json.loads(path.read_text())
            self.baseline, self._sentinel = float(state["sentinel_ms"]), str(state["sentinel"])
            self.spaces = {str(name): str(source) for name, source in state.get("spaces", {}).items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise NasError(
                f"{path}: not what profiling wrote ({type(error).__name__}: {error}). Delete it, and the sentinel is "
                f"timed anew."
            ) from None


def _differences(there: Mapping[str, str], now: Mapping[str, str]) -> str:
    return "; ".join(
        f"{key} {there[key]!r} there, {now[key]!r} now" for key in _COMPARED if there[key] != now[key]
    )
