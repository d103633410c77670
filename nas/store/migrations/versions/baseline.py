"""Baseline: studies, trials, metrics, fronts, series, presets and artefacts.

Frozen: a change of `nas.store.models` is a new migration beside this one.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create every table of the first version."""
    _studies()
    _trials()
    _metrics()
    _fronts()
    _others()


def downgrade() -> None:
    """Drop every table."""
    for table in (
        "artefacts",
        "presets",
        "series",
        "generations",
        "front_members",
        "metrics",
        "metric_kinds",
        "trials",
        "studies",
    ):
        op.drop_table(table)


def _study_id(table: str) -> tuple[sa.Column[int], sa.ForeignKeyConstraint]:
    return (
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["study_id"], ["studies.id"], name=f"fk_{table}_study_id", ondelete="CASCADE"
        ),
    )


def _trial_key(table: str) -> tuple[sa.Column[int], sa.Column[int], sa.ForeignKeyConstraint]:
    return (
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["study_id", "number"],
            ["trials.study_id", "trials.number"],
            name=f"fk_{table}_study_id_number",
            ondelete="CASCADE",
        ),
    )


def _studies() -> None:
    op.create_table(
        "studies",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("created", sa.DateTime(), nullable=False),
        sa.Column("updated", sa.DateTime(), nullable=False),
        sa.Column("space", sa.String(200), nullable=False),
        sa.Column("space_hash", sa.String(64), nullable=False),
        sa.Column("config", sa.Text(), nullable=False),
        sa.Column("objectives", sa.Text(), nullable=False),
        sa.Column("constraints", sa.Text(), nullable=False),
        sa.Column("reference_point", sa.Text()),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.Column("n_trials", sa.Integer(), nullable=False),
        sa.Column("n_complete", sa.Integer(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_studies"),
        sa.UniqueConstraint("name", name="uq_studies_name"),
    )


def _trials() -> None:
    op.create_table(
        "trials",
        *_study_id("trials"),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("arch_id", sa.String(64), nullable=False),
        sa.Column("arch", sa.Text(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("violation", sa.Float(), nullable=False),
        sa.Column("created", sa.DateTime(), nullable=False),
        sa.Column("finished", sa.DateTime()),
        sa.Column("wall_s", sa.Float()),
        sa.Column("created_revision", sa.BigInteger(), nullable=False),
        sa.Column("finished_revision", sa.BigInteger()),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("study_id", "number", name="pk_trials"),
        sa.UniqueConstraint("study_id", "arch_id", name="uq_trials_study_id_arch_id"),
    )
    op.create_index("ix_trials_study_id_revision", "trials", ["study_id", "revision"])


def _metrics() -> None:
    op.create_table(
        "metric_kinds",
        sa.Column("id", sa.Integer(), nullable=False),
        *_study_id("metric_kinds"),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("unit", sa.String(32), nullable=False),
        sa.Column("provenance", sa.String(16), nullable=False),
        sa.Column("stage", sa.String(32), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_metric_kinds"),
        sa.UniqueConstraint(
            "study_id", "name", "provenance", "stage", name="uq_metric_kinds_study_id_name_provenance_stage"
        ),
    )
    op.create_table(
        "metrics",
        *_trial_key("metrics"),
        sa.Column("kind_id", sa.Integer(), nullable=False),
        sa.Column("value", sa.Float()),
        sa.Column("low", sa.Float()),
        sa.Column("high", sa.Float()),
        sa.Column("detail", sa.Text()),
        sa.ForeignKeyConstraint(
            ["kind_id"], ["metric_kinds.id"], name="fk_metrics_kind_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("study_id", "number", "kind_id", name="pk_metrics"),
        sqlite_with_rowid=False,
    )


def _fronts() -> None:
    op.create_table(
        "front_members",
        *_trial_key("front_members"),
        sa.Column("entered_generation", sa.Integer(), nullable=False),
        sa.Column("left_generation", sa.Integer()),
        sa.Column("entered_revision", sa.BigInteger(), nullable=False),
        sa.Column("left_revision", sa.BigInteger()),
        sa.PrimaryKeyConstraint("study_id", "number", name="pk_front_members"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_front_members_study_id_left_generation_entered_generation",
        "front_members",
        ["study_id", "left_generation", "entered_generation"],
    )
    op.create_table(
        "generations",
        *_study_id("generations"),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("n_evaluations", sa.Integer(), nullable=False),
        sa.Column("front_size", sa.Integer(), nullable=False),
        sa.Column("hypervolume", sa.Float()),
        sa.Column("wall_s", sa.Float()),
        sa.Column("created", sa.DateTime(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("study_id", "generation", name="pk_generations"),
    )


def _others() -> None:
    op.create_table(
        "series",
        *_study_id("series"),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("study_id", "name", "step", name="pk_series"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "presets",
        *_study_id("presets"),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("arch_id", sa.String(64), nullable=False),
        sa.Column("arch", sa.Text(), nullable=False),
        sa.Column("metrics", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("study_id", "name", name="pk_presets"),
    )
    op.create_table(
        "artefacts",
        *_study_id("artefacts"),
        sa.Column("path", sa.String(1000), nullable=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("number", sa.Integer()),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("created", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("study_id", "path", name="pk_artefacts"),
    )
