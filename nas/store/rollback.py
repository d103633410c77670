"""Take a study back to an earlier revision, as a resumed run needs it."""

from __future__ import annotations

from sqlalchemy import delete, func, select, update

from nas.errors import NasError
from nas.store import studies
from nas.store.models import front_members, generations, metric_kinds, metrics, series, trials
from nas.store.records import RETRAINING, SEARCH
from nas.store.writing import Write


def rollback(write: Write, revision: int) -> None:
    """Undo what was committed after a revision; see `Storage.rollback_to`."""
    if not 0 <= revision < write.study.revision:
        raise NasError(
            f"study {write.study.name!r} is at revision {write.study.revision - 1}; it cannot go back to"
            f" {revision}."
        )
    _restore_fronts(write, revision)
    for table in (generations, series):
        later = (table.c.study_id == write.study.id, table.c.revision > revision)
        of_the_run = () if table is generations else (~series.c.name.startswith(RETRAINING, autoescape=True),)
        write.connection.execute(delete(table).where(*later, *of_the_run))
    later = (trials.c.study_id == write.study.id, trials.c.created_revision > revision)
    write.connection.execute(delete(trials).where(*later))
    _reopen(write, revision)
    _recount(write)
    write.front = None


def _restore_fronts(write: Write, revision: int) -> None:
    table = front_members
    within = table.c.study_id == write.study.id
    write.connection.execute(delete(table).where(within, table.c.entered_revision > revision))
    returning = update(table).where(within, table.c.left_revision > revision)
    write.connection.execute(returning.values(left_generation=None, left_revision=None))


def _reopen(write: Write, revision: int) -> None:
    """Trials that were still running at the revision run again."""
    mine = trials.c.study_id == write.study.id
    finished_later = (mine, trials.c.finished_revision > revision)
    kinds = select(metric_kinds.c.id).where(
        metric_kinds.c.study_id == write.study.id, metric_kinds.c.stage == SEARCH
    )
    write.connection.execute(
        delete(metrics).where(
            metrics.c.study_id == write.study.id,
            metrics.c.number.in_(select(trials.c.number).where(*finished_later)),
            metrics.c.kind_id.in_(kinds),
        )
    )
    write.connection.execute(
        update(trials)
        .where(*finished_later)
        .values(
            state="running",
            violation=0.0,
            finished=None,
            wall_s=None,
            finished_revision=None,
            revision=write.study.revision,
        )
    )


def _recount(write: Write) -> None:
    mine = trials.c.study_id == write.study.id
    total, highest = write.connection.execute(
        select(func.count(), func.max(trials.c.generation)).where(mine)
    ).one()
    complete = write.connection.execute(
        select(func.count()).select_from(trials).where(mine, trials.c.state == "complete")
    ).scalar_one()
    studies.change(
        write.connection,
        write.study.id,
        n_trials=total,
        n_complete=complete,
        generation=-1 if highest is None else highest,
        epoch=write.study.epoch + 1,
    )
