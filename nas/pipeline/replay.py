"""A search's state made again from its trials: the strategy is asked once more, and told what the storage has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from nas.errors import NasError
from nas.pipeline.openers import Opening
from nas.pipeline.pool import Evaluated
from nas.pipeline.search_state import UNREADABLE
from nas.search.strategies import Strategy
from nas.space.batch import ArchBatch
from nas.store import TrialRow

Tell = Callable[[Strategy, ArchBatch, list[Evaluated]], Any]


@dataclass(frozen=True)
class Replayed:
    """What asking again came to.

    Attributes:
        batches: whole ones that were told.
        trials: in them.
        open: a last batch of which the storage has only the beginning, for the trials ended there; else None.
    """

    batches: int
    trials: int
    open: ArchBatch | None


def replay(opening: Opening, trials: Sequence[TrialRow], size: int, tell: Tell) -> Replayed | None:
    """Ask anew for batches of `size`, and tell the strategy what the storage has of them.

    Returns:
        None where it asks for other architectures than are stored.
    """
    done = batches = 0
    try:
        while done < len(trials):
            batch = opening.ask(size)
            stored = trials[done : done + len(batch)]
            if not len(batch) or [trial.arch_id for trial in stored] != batch.ids[: len(stored)]:
                return None
            if any(trial.state == "running" for trial in stored):
                return None
            if len(stored) < len(batch):
                return Replayed(batches, done, batch)
            tell(opening.strategy, batch, [evaluated(trial) for trial in stored])
            done, batches = done + len(batch), batches + 1
    except (NasError, *UNREADABLE):
        return None
    return Replayed(batches, done, None)


def evaluated(trial: TrialRow) -> Evaluated:
    """What the evaluation of a stored trial gave."""
    return Evaluated(trial.arch_id, trial.metrics, trial.wall_s or 0.0)
