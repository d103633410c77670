"""What a study keeps besides its trials: generations, series, presets and artefacts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, delete, func, select

from nas.errors import NasError
from nas.metrics import Metric
from nas.store import fronts, measures
from nas.store.models import artefacts, generations, presets, series
from nas.store.records import Artefact, GenerationRow, Preset, SeriesPoint
from nas.store.writing import Write, replace


def record_generation(write: Write, generation: int, wall_s: float | None) -> GenerationRow:
    """Store what the current front amounts to, as the row of a generation."""
    front = fronts.load(write.connection, write.study) if write.front is None else write.front
    write.front = front
    row = GenerationRow(
        generation,
        write.study.n_complete,
        len(front.numbers),
        fronts.volume(write.study, front),
        wall_s,
        write.now,
    )
    columns = {**vars(row), "study_id": write.study.id, "revision": write.study.revision}
    replace(write.connection, generations, ("study_id", "generation"), [columns])
    return row


def history(connection: Connection, study_id: int) -> list[GenerationRow]:
    """Every recorded generation, in order."""
    columns = generations.c
    query = select(
        columns.generation,
        columns.n_evaluations,
        columns.front_size,
        columns.hypervolume,
        columns.wall_s,
        columns.created,
    ).where(columns.study_id == study_id)
    rows = [GenerationRow(*row) for row in connection.execute(query.order_by(columns.generation))]
    for row in rows:
        for number in (row.hypervolume, row.wall_s, row.front_size, row.n_evaluations):
            measures.bound(number)
    return rows


def add_series(write: Write, points: Sequence[SeriesPoint]) -> None:
    """Store points of time series; a step that is there already is replaced."""
    shared = {"study_id": write.study.id, "revision": write.study.revision}
    last = {(point.name, point.step): point for point in points}
    rows = [
        {**shared, "name": point.name, "step": point.step, "data": dict(point.data)}
        for point in last.values()
    ]
    replace(write.connection, series, ("study_id", "name", "step"), rows)


def drop_series(write: Write, name: str) -> None:
    """Delete all points of a series."""
    mine = (series.c.study_id == write.study.id, series.c.name == name)
    write.connection.execute(delete(series).where(*mine))


def read_series(
    connection: Connection, study_id: int, name: str, after: int | None, since: int
) -> list[tuple[int, dict[str, Any]]]:
    """Steps of one series and their data, in order."""
    query = select(series.c.step, series.c.data).where(series.c.study_id == study_id, series.c.name == name)
    if after is not None:
        query = query.where(series.c.step > after)
    if since:
        query = query.where(series.c.revision > since)
    return [(step, data) for step, data in connection.execute(query.order_by(series.c.step))]


def series_names(connection: Connection, study_id: int) -> list[str]:
    """Names of a study's series, sorted."""
    query = select(series.c.name).where(series.c.study_id == study_id).distinct()
    return sorted(connection.execute(query).scalars())


def series_begun(connection: Connection, study_id: int) -> dict[str, int]:
    """The lowest revision of any point of each series, by name."""
    query = select(series.c.name, func.min(series.c.revision)).where(series.c.study_id == study_id)
    return {name: int(revision) for name, revision in connection.execute(query.group_by(series.c.name))}


def set_presets(write: Write, given: Sequence[Preset]) -> None:
    """Store reference architectures; one of equal name is replaced."""
    rows = [
        {
            "study_id": write.study.id,
            "name": preset.name,
            "arch_id": preset.arch_id,
            "arch": dict(preset.arch),
            "metrics": {name: metric.to_json() for name, metric in preset.metrics.items()},
        }
        for preset in given
    ]
    replace(write.connection, presets, ("study_id", "name"), rows)


def read_presets(connection: Connection, study_id: int) -> list[Preset]:
    """A study's reference architectures, by name."""
    columns = presets.c
    query = select(columns.name, columns.arch_id, columns.arch, columns.metrics)
    query = query.where(columns.study_id == study_id).order_by(columns.name)
    return [
        Preset(name, arch_id, arch, {key: metric_from_json(data) for key, data in found.items()})
        for name, arch_id, arch, found in connection.execute(query)
    ]


def metric_from_json(data: Mapping[str, Any]) -> Metric:
    """The metric that `Metric.to_json` wrote."""
    low, high = data.get("interval", (None, None))
    return Metric(data["value"], data["unit"], data["provenance"], low, high, data.get("detail", ""))


def add_artefact(write: Write, artefact: Artefact) -> None:
    """Note a file of the study; one of equal path is replaced.

    Raises:
        NasError: it belongs to a trial that is not there.
    """
    if artefact.number is not None and not 0 <= artefact.number < write.study.n_trials:
        raise NasError(f"study {write.study.name!r} has no trial {artefact.number}.")
    row = {**vars(artefact), "study_id": write.study.id, "created": write.now}
    replace(write.connection, artefacts, ("study_id", "path"), [row])


def read_artefacts(connection: Connection, study_id: int) -> list[Artefact]:
    """A study's files, by path."""
    columns = artefacts.c
    query = select(columns.path, columns.kind, columns.sha256, columns.number, columns.created)
    query = query.where(columns.study_id == study_id).order_by(columns.path)
    return [Artefact(*row) for row in connection.execute(query)]
