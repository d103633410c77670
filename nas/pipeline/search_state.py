"""What a search keeps of itself beside its trials, and which generation of it fits the storage that is there.

The state names the revision of the study that it goes with. A storage that is newer is taken back to it; one that is
older, as after a power cut or from a copy, is gone on from by asking the strategy again (`nas.pipeline.replay`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nas.errors import NasError
from nas.kept import Record, Shape, read_record, write_record
from nas.pipeline.search_log import LOG, SearchLog, logged
from nas.space.batch import ArchBatch
from nas.space.space import Space
from nas.store import StudyRow, TrialRow

CHECKPOINT = "search.json"
PAIRS = "pairs"
"""What predictions and evaluations of a search came to; grows like the lists of its strategy."""
UNREADABLE = (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError)


class SearchState(Shape):
    """What every version's state has."""

    revision: int
    strategy: dict[str, Any]
    generation: int
    trials: int
    wall_s: float
    unfinished: list[list[int]]


def write_state(
    file: Path, study: StudyRow, state: Mapping[str, Any], log: SearchLog, grown: Mapping[str, list[Any]]
) -> None:
    """Write down where the search of a study is.

    Args:
        grown: what lists of the state have beyond what the log has of them.

    Raises:
        NasError: a file cannot be written.
    """
    mark = log.append(grown)
    write_record(file, {**state, "log": mark, "revision": study.revision, "of": _identity(study)})


def read_state(file: Path, study: StudyRow, space: Space, trials: list[TrialRow]) -> Record:
    """The newest generation of a search's state that goes with what the storage has.

    Args:
        trials: those that are stored.

    Raises:
        NasError: there is none.
    """

    def refuse(data: Mapping[str, Any]) -> str:
        if data.get("of", _identity(study)) != _identity(study):
            return "it is of another study"
        if data["revision"] > study.revision:
            return (
                f"it was written at revision {data['revision']} ({data['trials']} trials), the storage is at "
                f"{study.revision} ({len(trials)} trials)"
            )
        try:
            data = with_log(file, data)
        except NasError as error:
            return str(error)
        if not _same_trials(data, space, trials):
            return f"its {data['trials']} trials are not those that the storage has"
        return ""

    return read_record(file, SearchState, "", refuse)


def with_log(file: Path, data: Mapping[str, Any]) -> dict[str, Any]:
    """A state, its strategy's with the lists that are written down in the log beside it; an earlier version had no log.

    Raises:
        NasError: the log does not go with the state.
    """
    if "log" not in data:
        return dict(data)
    lists = logged(file.with_name(LOG), data["log"])
    pairs = lists.pop(PAIRS, [])
    return {**data, PAIRS: pairs, "strategy": {**data["strategy"], **lists}}


def read_generator(file: Path) -> dict[str, Any]:
    """The newest state of a search, whichever study of that name it is of.

    Raises:
        NasError: it is damaged; an earlier generation has learned less, and is not taken in its place.
    """
    remedy = "Its nas run … with --resume makes it again."
    record = read_record(file, SearchState, remedy)
    if record.warning:
        raise NasError(f"{record.warning.partition('; going on')[0]}. {remedy}")
    try:
        return with_log(file, record.data)
    except NasError as error:
        raise NasError(f"{error}. {remedy}") from None


def no_way_on(file: Path, study: StudyRow, why: str, trained: bool) -> NasError:
    """That a search can neither be gone on with nor made again from its trials."""
    weights = f" --supernet {study.name}" if trained else ""
    return NasError(
        f"study {study.name!r} cannot be continued: {why}, and asked again its strategy wants other architectures than "
        f"the {study.n_trials} that are stored. They can still be shown and exported. Put a copy of {file} back, or "
        f"search anew: the same command without --resume, with{weights} --study-name OTHER."
    )


def _identity(study: StudyRow) -> dict[str, str]:
    return {"study": study.name, "created": study.created.isoformat(), "space_hash": study.space_hash}


def _same_trials(data: Mapping[str, Any], space: Space, trials: list[TrialRow]) -> bool:
    """Whether the architectures that the strategy was told are the first that the storage has."""
    import numpy as np

    try:
        codes = np.array(data["strategy"]["codes"], dtype=np.int16).reshape(-1, len(space.decisions))
        known = set(ArchBatch(space, codes).ids)
    except UNREADABLE:
        return False
    return known == {trial.arch_id for trial in trials[: data["trials"]]}
