"""Finding an architecture in every study of a storage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nas.cli.output import open_storage
from nas.errors import NasError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from nas.store import Preset, Storage, StudyRow, TrialRow

_LISTED = 8
_DIGITS = 19  # fewer fit into any database's integers


@dataclass(frozen=True)
class Found:
    """One place where an architecture occurs: a trial, or a preset of a study.

    Attributes:
        on_front: whether the trial is on its study's front.
    """

    study: StudyRow
    trial: TrialRow | None
    preset: Preset | None
    on_front: bool = False

    @property
    def name(self) -> str:
        """`STUDY/NUMBER`, or `STUDY/PRESET`."""
        known = self.preset.name if self.preset is not None else self.trial and self.trial.number
        return f"{self.study.name}/{known}"

    @property
    def arch_id(self) -> str:
        """Identity of the architecture."""
        known = self.trial or self.preset
        assert known is not None
        return known.arch_id


def find(url: str | None, wanted: str) -> list[Found]:
    """Every place of one architecture in the storage at `url`.

    Args:
        wanted: an arch id, the beginning of one, `STUDY/NUMBER` or `STUDY/PRESET`.

    Raises:
        NasError: there is none, or several begin like that; or no such storage.
    """
    from nas.store.engine import connect, default_url, parse_url
    from nas.store.failures import translated

    storage = open_storage(url)
    engine = connect(parse_url(default_url() if url is None else url), read_only=True)
    with translated(engine.url), engine.connect() as connection:
        study, slash, name = wanted.rpartition("/")
        beginning = _named(storage, connection, study, name) if slash else wanted
        if not beginning:
            raise NasError("an arch id, the beginning of one, STUDY/NUMBER or STUDY/PRESET is needed.")
        places = _places(storage, connection, beginning)
        if not places and not slash:
            _refuse_other_names(storage, wanted)
        return _unique(places, beginning)


def find_or_tell(url: str | None, wanted: str) -> list[Found]:
    """`find`, for commands that also take SPACE:PRESET.

    Raises:
        NasError: as there; where it was a space's name or SPACE/PRESET, how its presets are named.
    """
    from nas.pipeline.presets import meant

    try:
        return find(url, wanted)
    except NasError as error:
        raise NasError(meant(wanted) or str(error)) from None


def in_study(places: Sequence[Found], wanted: str) -> list[Found]:
    """Those places that are of one study: the named one of `STUDY/…`, else the only one.

    Raises:
        NasError: it could be any of several.
    """
    named, names = wanted.rpartition("/")[0], list(dict.fromkeys(place.study.name for place in places))
    if named not in names and len(names) > 1:
        raise NasError(
            f"{wanted} is in several studies; say which one is meant: {', '.join(place.name for place in places)}."
        )
    study = named if named in names else names[0]
    return [place for place in places if place.study.name == study]


def _places(storage: Storage, connection: Connection, beginning: str) -> list[Found]:
    from nas.store import trials
    from nas.store.models import trials as table

    places: list[Found] = []
    condition = table.c.arch_id.startswith(beginning, autoescape=True)
    for study in storage.studies():
        rows = trials.read(connection, study.id, condition)
        front = {row.number for row in storage.front(study.id)} if rows else set()
        places += [Found(study, row, None, row.number in front) for row in rows]
        presets = storage.presets(study.id)
        places += [Found(study, None, one) for one in presets if one.arch_id.startswith(beginning)]
    return places


def _refuse_other_names(storage: Storage, wanted: str) -> None:
    """Nothing, where a name is none of a study, a preset or a space.

    Raises:
        NasError: it is; says what to type instead.
    """
    studies = {study.name: study for study in storage.studies()}
    if wanted in studies:
        study = studies[wanted]
        front = [row.number for row in storage.front(study.id)]
        presets = [preset.name for preset in storage.presets(study.id)]
        some = [f"{wanted}/{known}" for known in [*front[:_LISTED], *presets[:_LISTED]]]
        meant = f"name one of its architectures: {', '.join(some)}" if some else "it has no architectures yet"
        raise NasError(
            f"{wanted!r} is a study, not an architecture; {meant}. `nas front {wanted}` lists its front."
        )
    having = [
        f"{study.name}/{wanted}"
        for study in studies.values()
        if any(preset.name == wanted for preset in storage.presets(study.id))
    ]
    if having:
        raise NasError(f"{wanted!r} is a preset; name it with its study: {' or '.join(having[:_LISTED])}.")
    searched = sorted({study.name for study in studies.values() if study.space == wanted})
    if searched:
        raise NasError(
            f"{wanted!r} is a space, not an architecture; studies of it: {', '.join(searched[:_LISTED])}. "
            f"`nas front {searched[0]}` lists the front of one."
        )


def _unique(places: Sequence[Found], beginning: str) -> list[Found]:
    """The places of the one architecture that is meant."""
    exact = [place for place in places if place.arch_id == beginning]
    ids = sorted({place.arch_id for place in exact or places})
    if not ids:
        raise NasError(
            f"no architecture {beginning!r} in this storage; `nas front STUDY` lists those of a front,"
            " and STUDY/NUMBER names a trial."
        )
    if len(ids) > 1:
        listing = ", ".join(ids[:_LISTED]) + (", …" if len(ids) > _LISTED else "")
        raise NasError(f"{len(ids)} architectures begin with {beginning!r}: {listing}. Give more of the id.")
    return exact or list(places)


def _named(storage: Storage, connection: Connection, study: str, name: str) -> str:
    """The arch id of a trial by its number, or of a preset by its name."""
    from nas.store import trials
    from nas.store.models import trials as table

    row = storage.study(study)
    if name.isdecimal() and len(name) < _DIGITS:
        found = trials.read(connection, row.id, table.c.number == int(name))
        if found:
            return found[0].arch_id
    presets = {preset.name: preset.arch_id for preset in storage.presets(row.id)}
    if name in presets:
        return presets[name]
    if name.isdecimal():
        known = f"its trials are 0 … {row.n_trials - 1}" if row.n_trials else "it has none yet"
        raise NasError(f"study {study!r} has no trial {name}; {known}.")
    having = f"its presets are {', '.join(presets)}" if presets else "it has no presets"
    raise NasError(f"{study}/{name}: {name!r} is neither a trial's number nor a preset; {having}.")
