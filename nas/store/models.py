"""The tables of a storage.

Every write to a study first advances that study's `revision`, which locks its row until the
commit: writers of one study take turns on any database, and revisions are committed in order.
Rows carry the revision that made them, so that a reader asks for what is new since a revision
and a rollback restores what was there at one.

A metric's name, unit, provenance and usual detail are the same for thousands of trials, so they
stand once in `metric_kinds` and a metric is a few numbers.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from nas.store.columns import Json, Utc

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    }
)


def _study_id() -> Column[int]:
    return Column("study_id", Integer, ForeignKey("studies.id", ondelete="CASCADE"), nullable=False)


studies = Table(
    "studies",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(200), nullable=False, unique=True),
    Column("state", String(16), nullable=False),
    Column("created", Utc, nullable=False),
    Column("updated", Utc, nullable=False),
    Column("space", String(200), nullable=False),
    Column("space_hash", String(64), nullable=False),
    Column("config", Json, nullable=False),
    Column("objectives", Json, nullable=False),
    Column("constraints", Json, nullable=False),
    Column("reference_point", Json),
    Column("facts", Json, nullable=False),
    Column("n_trials", Integer, nullable=False),
    Column("n_complete", Integer, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("epoch", Integer, nullable=False),
)

leases = Table(
    "leases",
    metadata,
    Column(
        "study_id",
        Integer,
        ForeignKey("studies.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("token", String(64), nullable=False),
    Column("host", String(200), nullable=False),
    Column("machine", String(64), nullable=False),
    Column("pid", BigInteger, nullable=False),
    Column("started", Float, nullable=False),
    Column("folder", Text, nullable=False),
    Column("beat", Utc, nullable=False),
)

trials = Table(
    "trials",
    metadata,
    _study_id(),
    Column("number", Integer, nullable=False),
    Column("arch_id", String(64), nullable=False),
    Column("arch", Json, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("violation", Float, nullable=False),
    Column("created", Utc, nullable=False),
    Column("finished", Utc),
    Column("wall_s", Float),
    Column("created_revision", BigInteger, nullable=False),
    Column("finished_revision", BigInteger),
    Column("revision", BigInteger, nullable=False),
    PrimaryKeyConstraint("study_id", "number"),
    UniqueConstraint("study_id", "arch_id"),
    Index(None, "study_id", "revision"),
)

metric_kinds = Table(
    "metric_kinds",
    metadata,
    Column("id", Integer, primary_key=True),
    _study_id(),
    Column("name", String(200), nullable=False),
    Column("unit", String(32), nullable=False),
    Column("provenance", String(16), nullable=False),
    Column("stage", String(32), nullable=False),
    Column("detail", Text, nullable=False),
    UniqueConstraint("study_id", "name", "provenance", "stage"),
)

metrics = Table(
    "metrics",
    metadata,
    Column("study_id", Integer, nullable=False),
    Column("number", Integer, nullable=False),
    Column("kind_id", Integer, ForeignKey("metric_kinds.id", ondelete="CASCADE"), nullable=False),
    Column("value", Float),
    Column("low", Float),
    Column("high", Float),
    Column("detail", Text),
    PrimaryKeyConstraint("study_id", "number", "kind_id"),
    ForeignKeyConstraint(["study_id", "number"], ["trials.study_id", "trials.number"], ondelete="CASCADE"),
    sqlite_with_rowid=False,
)

front_members = Table(
    "front_members",
    metadata,
    Column("study_id", Integer, nullable=False),
    Column("number", Integer, nullable=False),
    Column("entered_generation", Integer, nullable=False),
    Column("left_generation", Integer),
    Column("entered_revision", BigInteger, nullable=False),
    Column("left_revision", BigInteger),
    PrimaryKeyConstraint("study_id", "number"),
    ForeignKeyConstraint(["study_id", "number"], ["trials.study_id", "trials.number"], ondelete="CASCADE"),
    Index(None, "study_id", "left_generation", "entered_generation"),
    sqlite_with_rowid=False,
)

generations = Table(
    "generations",
    metadata,
    _study_id(),
    Column("generation", Integer, nullable=False),
    Column("n_evaluations", Integer, nullable=False),
    Column("front_size", Integer, nullable=False),
    Column("hypervolume", Float),
    Column("wall_s", Float),
    Column("created", Utc, nullable=False),
    Column("revision", BigInteger, nullable=False),
    PrimaryKeyConstraint("study_id", "generation"),
)

series = Table(
    "series",
    metadata,
    _study_id(),
    Column("name", String(200), nullable=False),
    Column("step", BigInteger, nullable=False),
    Column("data", Json, nullable=False),
    Column("revision", BigInteger, nullable=False),
    PrimaryKeyConstraint("study_id", "name", "step"),
    sqlite_with_rowid=False,
)

presets = Table(
    "presets",
    metadata,
    _study_id(),
    Column("name", String(200), nullable=False),
    Column("arch_id", String(64), nullable=False),
    Column("arch", Json, nullable=False),
    Column("metrics", Json, nullable=False),
    PrimaryKeyConstraint("study_id", "name"),
)

artefacts = Table(
    "artefacts",
    metadata,
    _study_id(),
    Column("path", String(1000), nullable=False),
    Column("kind", String(64), nullable=False),
    Column("number", Integer),
    Column("sha256", String(64), nullable=False),
    Column("created", Utc, nullable=False),
    PrimaryKeyConstraint("study_id", "path"),
)
