"""Pairs of arch and latency: from a CSV file, or from what a study measured."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nas.errors import NasError, unknown
from nas.latency.network_table import COLUMNS as NETWORK_COLUMNS
from nas.latency.network_table import NetworkTable
from nas.latency.report import DataFacts
from nas.latency.times import FloatArray
from nas.space.batch import ArchBatch
from nas.space.space import Space

if TYPE_CHECKING:
    from nas.store import Storage

LATENCY_COLUMN = "latency_ms"


@dataclass(frozen=True)
class Pairs:
    """Archs and their latencies.

    Attributes:
        batch: archs, `n`.
        ms: their latencies in ms, shape `(n,)`.
        data: where they come from.
        outside: archs that were left out, because they lie outside the space's ranges.
    """

    batch: ArchBatch
    ms: FloatArray
    data: DataFacts
    outside: int = 0

    def __len__(self) -> int:
        return len(self.batch)

    def stated(self, **facts: str) -> Pairs:
        """The same pairs with these facts (`source`, `licence`) about where they come from."""
        return replace(self, data=self.data.model_copy(update=facts))


def pairs_from_csv(space: Space, path: str | Path, *, column: str = LATENCY_COLUMN) -> Pairs:
    """Pairs from a table of timed networks (`networks.csv`), or a CSV with one column per decision.

    Args:
        space: of the archs.
        path: the file; `.gz` is unpacked.
        column: with one column per decision: the column with latencies in ms. Rows without one are skipped.

    Raises:
        NasError: no such file or column, an arch outside the space, or no pair at all.
    """
    path = Path(path)
    frame = _frame(path)
    timed_networks = list(frame.columns) == list(NETWORK_COLUMNS)
    pairs = _networks(space, path) if timed_networks else _columns(space, path, frame, column)
    if not len(pairs):
        raise NasError(f"{path}: has no latency of an arch of {space.name!r}.")
    return pairs


def known_elsewhere(
    pairs: Pairs, places: Sequence[str], *, column: str = LATENCY_COLUMN
) -> dict[str, FloatArray]:
    """Latencies of the same archs on other devices in ms, `(n,)` each, by the file's name, `#COLUMN` included.

    Args:
        pairs: whose archs are looked up.
        places: CSV files as `pairs_from_csv` takes them, `FILE` or `FILE#COLUMN`; each is one device.
        column: with ms, where a place names none.

    Raises:
        NasError: a file is missing or wrong, lacks an arch, or is named twice.
    """
    found: dict[str, FloatArray] = {}
    for place in places:
        file, _, own = place.partition("#")
        path = Path(file)
        device = path.name.partition(".")[0] + (f"#{own}" if own else "")
        if device in found:
            raise NasError(f"{place}: {device!r} is given twice; other devices need names of their own.")
        found[device] = _looked_up(pairs, pairs_from_csv(pairs.batch.space, path, column=own or column), path)
    return found


def _looked_up(pairs: Pairs, known: Pairs, path: Path) -> FloatArray:
    at = {arch_id: index for index, arch_id in enumerate(known.batch.ids)}
    missing = [index for index, arch_id in enumerate(pairs.batch.ids) if arch_id not in at]
    if missing:
        first = ", ".join(f"{name} = {value}" for name, value in pairs.batch[missing[0]].values.items())
        raise NasError(
            f"{path}: has no latency of {len(missing)} of the {len(pairs)} archs, the first with {first}. What is "
            f"transferred needs each arch's latency there too."
        )
    return known.ms[[at[arch_id] for arch_id in pairs.batch.ids]]


def pairs_from_study(storage: Storage, study: str, space: Space, *, metric: str = "latency") -> Pairs:
    """The archs of a study whose latency was measured, in whatever stage; a later stage's replaces an earlier one's.

    Raises:
        NasError: no such study, another space, or nothing measured.
    """
    row = storage.study(study)
    if row.space_hash != space.hash:
        raise NasError(
            f"the study {study!r} searched {row.space!r}, which is not {space.name!r} as it is now."
        )
    archs, ms = [], []
    for trial in storage.trials(row.id):
        measured = [
            item.metric
            for item in trial.stored
            if item.name == metric and item.metric.provenance == "measured" and item.metric.unit == "ms"
        ]
        if measured and np.isfinite(measured[-1].value):
            archs.append(trial.arch)
            ms.append(measured[-1].value)
    if not archs:
        raise NasError(
            f"the study {study!r} has no measured {metric!r} in ms; time its archs on the device first."
        )
    facts = DataFacts(
        file=study, sha256="", source=f"study {study}", licence="the user's own", units=len(archs)
    )
    return Pairs(space.encode(archs), np.array(ms), facts)


def _networks(space: Space, path: Path) -> Pairs:
    archs, times = NetworkTable.read(path).of(space)
    inside = [index for index, arch in enumerate(archs) if space.contains(arch)]
    batch = space.encode([archs[index] for index in inside])
    return Pairs(batch, times.ms[inside], _facts(path, len(inside)), outside=len(archs) - len(inside))


def _columns(space: Space, path: Path, frame: Any, column: str) -> Pairs:
    if column not in frame.columns:
        known = [name for name in frame.columns if name not in space.index]
        raise NasError(f"{path}: {unknown('column', column, known)} Name the one with the latencies in ms.")
    missing = [d.name for d in space.decisions if d.name not in frame.columns]
    if missing:
        raise NasError(
            f"{path}: no column for the decision {missing[0]!r}; one per decision and {column!r} are needed."
        )
    frame = frame[frame[column].notna()]
    batch = space.decode(np.stack([_codes(path, frame, d) for d in space.decisions], axis=1))
    wrong = np.flatnonzero(~space.valid(batch))
    if len(wrong):
        raise NasError(f"{path}:{frame.index[wrong[0]] + 2}: the arch breaks a rule of {space.name!r}.")
    try:
        ms = np.asarray(frame[column], dtype=np.float64)
    except ValueError:
        raise NasError(f"{path}: the column {column!r} must hold numbers of ms only.") from None
    return Pairs(batch, ms, _facts(path, len(batch)))


def _codes(path: Path, frame: Any, decision: Any) -> np.ndarray[Any, Any]:
    """Positions of the column's values; an empty cell is a decision without effect."""
    codes = []
    for row, value in zip(frame.index, frame[decision.name].tolist()):
        empty = isinstance(value, float) and np.isnan(value) and decision.active_when is not None
        code = 0 if empty else decision.code(value)
        if code is None:
            allowed = ", ".join(str(known) for known in decision.values)
            raise NasError(f"{path}:{row + 2}: {decision.name} = {value!r} is not one of {allowed}.")
        codes.append(code)
    return np.array(codes, dtype=np.int16)


def _frame(path: Path) -> Any:
    import pandas

    if not path.is_file():
        raise NasError(f"{path}: no such file.")
    try:
        return pandas.read_csv(path, keep_default_na=False, na_values=[""])
    except (ValueError, OSError, UnicodeDecodeError) as error:
        raise NasError(f"{path}: not a CSV table: {error}.") from None


def _facts(path: Path, count: int) -> DataFacts:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return DataFacts(file=path.name, sha256=digest, source="not stated", licence="not stated", units=count)
