"""Storage: studies, trials and fronts in a SQL database."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from nas.errors import NasError, unknown
from nas.metrics import Metric
from nas.store import extras, frames, leases, measures, rollback, schema, studies, trials
from nas.store.engine import connect, default_url, named, parse_url, reader, writer
from nas.store.failures import readable, shown, translated
from nas.store.fronts import Front
from nas.store.records import (
    Artefact,
    GenerationRow,
    Objective,
    Preset,
    SeriesPoint,
    StudyMark,
    StudyRow,
    StudyState,
    TrialRecord,
    TrialRow,
)
from nas.store.writing import Write

if TYPE_CHECKING:
    from pandas import DataFrame


class Storage:
    """A database of studies.

    Every writing method is one commit, and several processes may write to one study: they take
    turns. Readers see whole commits and, on SQLite, never wait for a writer.

    Args:
        url: `sqlite:///FILE`, `postgresql+psycopg://…` or another SQLAlchemy URL; `NAS_STORAGE`
            or `sqlite:///nas.db` where it is left out. Tables are created or upgraded.
        read_only: never write, not even tables; the storage must be there.

    Raises:
        NasError: here and in every method: what is wrong with the storage and what to do.
    """

    def __init__(self, url: str | None = None, *, read_only: bool = False) -> None:
        self._url = parse_url(default_url() if url is None else url)
        self._lock = threading.RLock()
        self._fronts: dict[int, tuple[int, Front]] = {}
        self._token, self._runs = uuid4().hex, set[int]()
        engine = connect(self._url, read_only=read_only)
        self._reader, self._writer = reader(engine), writer(engine)
        with translated(self._url):
            if not schema.prepare(engine, read_only=read_only):
                self._reader = self._reader.execution_options(**{studies.OLDER: True})

    @property
    def named(self) -> str | None:
        """What `--storage` must say for it, its password hidden; None where it is the default."""
        return named(self._url)

    @property
    def url(self) -> str:
        """Where the storage is, without its password."""
        return shown(self._url)

    @property
    def address(self) -> str:
        """The URL with its password, to open the same storage from another process; never to be shown."""
        return self._url.render_as_string(hide_password=False)

    def close(self) -> None:
        """Close every connection."""
        self._reader.dispose()

    def create_study(
        self,
        name: str,
        *,
        space: str,
        space_hash: str,
        objectives: Sequence[Objective],
        config: Mapping[str, Any],
        constraints: Sequence[Mapping[str, Any]] = (),
        facts: Mapping[str, Any] | None = None,
    ) -> StudyRow:
        """Begin a study, in state `running`, run by this process.

        Args:
            objectives: what its front is made of, in order.
            config, constraints, facts: plain data, returned as JSON has it.

        Raises:
            NasError: the name exists (with both ways out) or cannot be one.
        """
        columns = {
            "space": space,
            "space_hash": space_hash,
            "objectives": objectives,
            "config": dict(config),
            "constraints": [dict(constraint) for constraint in constraints],
            "facts": dict(facts or {}),
        }
        with translated(self._url), self._writer.begin() as connection:
            study = studies.create(connection, name, **columns)
            leases.put(connection, study.id, leases.new(self._token))
            self._runs.add(study.id)
            return studies.by_id(connection, study.id)

    def study(self, name: str) -> StudyRow:
        """The study of that name; an error lists those there are."""
        with self._reading() as connection:
            return studies.by_name(connection, name)

    def studies(self) -> list[StudyRow]:
        """Every study that can be read, oldest first; see `damaged`."""
        with self._reading() as connection:
            return studies.listing(connection)[0]

    def damaged(self) -> list[str]:
        """What is wrong with each study whose row cannot be read, oldest first."""
        with self._reading() as connection:
            return [f"storage {self.url}: {each}" for each in studies.listing(connection)[1]]

    def names(self) -> list[str]:
        """Names of all studies, also of those that cannot be read, oldest first."""
        with self._reading() as connection:
            return studies.names(connection)

    def marks(self) -> list[StudyMark]:
        """What changes with every study, oldest first; quick to read."""
        with self._reading() as connection:
            return studies.marks(connection)

    def set_state(self, study_id: int, state: StudyState) -> None:
        """Set a study's state. With `running` this process begins to run it, with any other nobody runs it any more.

        Raises:
            NasError: an unknown state, or another process that is alive runs it; says which.
        """
        if state not in studies.STATES:
            raise NasError(unknown("study state", state, studies.STATES))
        with self._writing(study_id) as write:
            if state == "running":
                self._take(write)
            else:
                leases.drop(write.connection, study_id)
                self._runs.discard(study_id)
            studies.change(write.connection, study_id, state=state)

    def _take(self, write: Write) -> None:
        runner = write.study.runner
        if write.study.state == "running" and runner is not None and not runner.is_mine():
            raise NasError(
                f"study {write.study.name!r} is being run by another process: {runner}, heard from "
                f"{runner.beat:%Y-%m-%d %H:%M:%S} UTC. Wait for it, stop it, or choose another --study-name."
            )
        leases.put(write.connection, write.study.id, leases.new(self._token))
        self._runs.add(write.study.id)

    def runs(self, study_id: int) -> bool:
        """Whether this storage was opened by the run of the study, as far as it knows."""
        return study_id in self._runs

    def beat(self) -> None:
        """A sign of life of this process, for the studies it runs."""
        if self._runs:
            with self._lock, translated(self._url), self._writer.begin() as connection:
                leases.beat(connection, sorted(self._runs), self._token)

    def delete_study(self, name: str) -> None:
        """Delete a study with everything that is stored of it, also one whose row cannot be read.

        Raises:
            NasError: there is none, or a process that is alive runs it.
        """
        with self._lock, translated(self._url), self._writer.begin() as connection:
            study_id = studies.key_of(connection, name)
            runner = studies.runner(connection, study_id)
            if runner is not None and study_id not in self._runs:
                raise NasError(f"study {name!r} is being run by {runner}; stop it before it is deleted.")
            studies.remove(connection, study_id)
            self._runs.discard(study_id)
            self._fronts.pop(study_id, None)

    def set_config(self, study_id: int, config: Mapping[str, Any]) -> None:
        """Replace a study's configuration, where it goes on with another."""
        with self._writing(study_id) as write:
            studies.change(write.connection, study_id, config=dict(config))

    def add_facts(self, study_id: int, facts: Mapping[str, Any]) -> None:
        """Add run facts; those of equal name are replaced."""
        with self._writing(study_id) as write:
            studies.change(write.connection, study_id, facts={**write.study.facts, **facts})

    def set_reference_point(self, study_id: int, point: Mapping[str, float]) -> None:
        """Fix the corner of the hypervolume, one number per objective name, once for the study."""
        with self._writing(study_id) as write:
            stored = studies.with_reference(write.study, point)
            studies.change(write.connection, study_id, reference_point=stored)

    def add_trials(self, study_id: int, records: Sequence[TrialRecord]) -> NDArray[np.int64]:
        """Store a batch of architectures and what they reached, and update the front.

        An architecture has one trial in a study. A record for one that is `running` finishes its
        trial; a record for one that is finished changes nothing.

        Returns:
            int64 (n,): the trial number of each record.

        Raises:
            NasError: a state, metric name or unit that does not fit; nothing is stored then.
        """
        with self._writing(study_id) as write:
            return trials.add(write, records)

    def add_metrics(self, study_id: int, stage: str, metrics: Mapping[int, Mapping[str, Metric]]) -> None:
        """Add metrics of a later stage (`final`, `device` …), by trial number and metric name.

        They do not change the front. One of equal name, provenance and stage is replaced.
        """
        with self._writing(study_id) as write:
            measures.add(write, stage, metrics)

    def trials(self, study_id: int, *, since: int = 0) -> list[TrialRow]:
        """Trials added or changed after revision `since`, by number.

        To follow a study, pass the `revision` of the `StudyRow` read before the last call; start
        over from 0 when its `epoch` has changed.
        """
        with self._reading() as connection:
            return trials.read(connection, study_id, trials.since(since))

    def front(self, study_id: int, *, generation: int | None = None) -> list[TrialRow]:
        """The front of the study, or as it was after a generation, by trial number."""
        with self._reading() as connection:
            return trials.read(connection, study_id, trials.on_front(study_id, generation))

    def trials_frame(self, study_id: int, *, since: int = 0) -> DataFrame:
        """`trials` as a DataFrame, with the columns `nas.store.frames` states."""
        with self._reading() as connection:
            return frames.frame(connection, study_id, trials.since(since))

    def front_frame(self, study_id: int, *, generation: int | None = None) -> DataFrame:
        """`front` as a DataFrame, with the columns `nas.store.frames` states."""
        with self._reading() as connection:
            return frames.frame(connection, study_id, trials.on_front(study_id, generation))

    def record_front(self, study_id: int, generation: int, *, wall_s: float | None = None) -> GenerationRow:
        """Store the size and hypervolume of the current front as those of a generation.

        Args:
            wall_s: seconds of work since the study began.
        """
        with self._writing(study_id) as write:
            return extras.record_generation(write, generation, wall_s)

    def hypervolume_history(self, study_id: int) -> list[GenerationRow]:
        """Every recorded generation, in order."""
        with self._reading() as connection:
            return extras.history(connection, study_id)

    def add_series(self, study_id: int, points: Sequence[SeriesPoint]) -> None:
        """Store points of time series; a step that is there already is replaced."""
        with self._writing(study_id) as write:
            extras.add_series(write, points)

    def drop_series(self, study_id: int, name: str) -> None:
        """Forget a series; nothing where there is none."""
        with self._writing(study_id) as write:
            extras.drop_series(write, name)

    def series(
        self, study_id: int, name: str, *, after: int | None = None, since: int = 0
    ) -> list[tuple[int, dict[str, Any]]]:
        """(step, data) of one series in order; only steps behind `after`, and stored after the revision `since`."""
        with self._reading() as connection:
            return extras.read_series(connection, study_id, name, after, since)

    def series_names(self, study_id: int) -> list[str]:
        """Names of a study's series, sorted."""
        with self._reading() as connection:
            return extras.series_names(connection, study_id)

    def series_begun(self, study_id: int) -> dict[str, int]:
        """Lowest revision of the points of each series, by name; it grows where one was dropped and begun again."""
        with self._reading() as connection:
            return extras.series_begun(connection, study_id)

    def set_presets(self, study_id: int, presets: Sequence[Preset]) -> None:
        """Store reference architectures with their metrics; one of equal name is replaced."""
        with self._writing(study_id) as write:
            extras.set_presets(write, presets)

    def presets(self, study_id: int) -> list[Preset]:
        """A study's reference architectures, by name."""
        with self._reading() as connection:
            return extras.read_presets(connection, study_id)

    def add_artefact(self, study_id: int, artefact: Artefact) -> None:
        """Note a file of the study; one of equal path is replaced."""
        with self._writing(study_id) as write:
            extras.add_artefact(write, artefact)

    def artefacts(self, study_id: int) -> list[Artefact]:
        """A study's files, by path."""
        with self._reading() as connection:
            return extras.read_artefacts(connection, study_id)

    def rollback_to(self, study_id: int, revision: int) -> None:
        """Take trials, fronts, generations and series back to what they were at a revision.

        For a run that is resumed from a checkpoint: commit, then write the checkpoint with the
        study's revision; on resume go back to it and repeat what was lost. Metrics of later
        stages stay with the trials that stay; presets, artefacts, facts, state and the series of
        retrained networks are kept.

        Raises:
            NasError: a revision the study has not reached.
        """
        with self._writing(study_id) as write:
            rollback.rollback(write, revision)

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with translated(self._url), self._reader.begin() as connection, readable():
            yield connection

    @contextmanager
    def _writing(self, study_id: int) -> Iterator[Write]:
        now = datetime.now(UTC)
        with self._lock, translated(self._url):
            with self._writer.begin() as connection:
                study = studies.advance(connection, study_id, now)
                self._check_mine(study)
                revision, front = self._fronts.pop(study_id, (-1, None))
                write = Write(connection, study, now, front if revision == study.revision - 1 else None)
                yield write
            if write.front is not None:
                self._fronts[study_id] = (study.revision, write.front)

    def _check_mine(self, study: StudyRow) -> None:
        """A run that was taken for dead and is not must not write beside the one that took its place."""
        runner = study.runner
        if study.id in self._runs and (
            runner is None or not (runner.token == self._token or runner.is_mine())
        ):
            self._runs.discard(study.id)
            by = f"is run by {runner} now" if runner is not None else f"is {study.state} now"
            raise NasError(
                f"study {study.name!r} {by}: this process was taken for dead. What it had stored until then is kept."
            )

    def __getstate__(self) -> dict[str, Any]:
        raise NasError("a storage cannot be sent to another process; open it there by its URL.")
