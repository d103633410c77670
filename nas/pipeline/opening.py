"""The study of a run: begun, or gone on with; what stands against either is told before anything is made."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nas.errors import NasError
from nas.kept import is_there
from nas.pipeline.facts import check_same_data, data_facts, run_facts
from nas.pipeline.lock import LOCK
from nas.pipeline.openers import openers_of
from nas.pipeline.plan import RunPlan
from nas.pipeline.progress import Reporter
from nas.pipeline.same_numbers import check_same_numbers
from nas.pipeline.search_state import CHECKPOINT
from nas.pipeline.supernet_card import CARD
from nas.plugins.compare import check_loaded, keep_copies
from nas.store import Objective as StoredObjective
from nas.store import Storage, StudyRow, check_resumable, default_url
from nas.store.engine import parse_url, sqlite_file
from nas.store.studies import taken

if TYPE_CHECKING:
    from nas.pipeline.load_data import LoadedData

_ASIDE = "old-*"


def check_there(plan: RunPlan, resume: bool) -> None:
    """A study that is to be resumed is in a storage that is there; nothing is made on the way to finding out.

    Raises:
        NasError: there is no such file.
    """
    file = sqlite_file(parse_url(default_url() if plan.storage is None else plan.storage))
    if resume and file is not None and not file.exists():
        raise NasError(
            f"there is no study {plan.name!r} to resume: {file} is missing. Leave --resume out to begin it, or name "
            "its storage with --storage."
        )


def check_name(plan: RunPlan, store: Storage, resume: bool) -> None:
    """Whether there is a study of that name, before its folder is touched.

    Raises:
        NasError: there is one where a new one is begun, or none where one is resumed.
    """
    known = plan.name in store.names()
    if resume and not known:
        raise NasError(
            f"there is no study {plan.name!r} to resume in {store.url}; leave --resume out to begin it."
        )
    if known and not resume:
        raise NasError(taken(plan.name, store.named))


def open_study(
    plan: RunPlan,
    source: str,
    data: LoadedData | None,
    store: Storage,
    resume: bool,
    command: Sequence[str],
    reporter: Reporter,
) -> StudyRow:
    """The run's study in the storage, run by this process from here on.

    Raises:
        NasError: it cannot be continued, or another process runs it.
    """
    if resume:
        return _reopen(plan, data, store, store.study(plan.name), reporter)
    openers, said = openers_of(plan, store)
    _set_aside(plan.folder, reporter)  # before there is a study: a resumed one trusts what lies in its folder
    facts = {**run_facts(plan.settings, plan.space, source, command), "openers": openers}
    for line in said:
        reporter.say(line)
    if plan.init is not None:
        facts["init"] = plan.init.facts()
    study = store.create_study(
        plan.name,
        space=plan.space.name,
        space_hash=plan.space.hash,
        objectives=[StoredObjective(o.metric, o.direction, o.unit) for o in plan.objectives],
        config=plan.config(),
        constraints=[{"text": c.text, "metric": c.metric, "bound": c.bound} for c in plan.constraints],
        facts=facts if data is None else {**facts, "data": data_facts(data)},
    )
    keep_copies(plan.folder)
    return study


def _reopen(
    plan: RunPlan, data: LoadedData | None, store: Storage, study: StudyRow, reporter: Reporter
) -> StudyRow:
    """The study that goes on, run by this process from here on."""
    check_loaded(plan.name, study.facts, plan.folder, "cannot be continued")
    changed = check_resumable(study, space_hash=plan.space.hash, config=plan.config())
    if data is not None:
        check_same_data(study, data)
    check_same_numbers(plan.metrics, store, study, plan.tables)
    _check_files(plan, study)
    store.set_state(study.id, "running")
    if changed:
        for line in changed:
            reporter.say(f"goes on with another {line.removeprefix('settings.')}")
        noted = [*study.facts.get("changed", []), {"trials": study.n_trials, "what": changed}]
        budget = study.config.get("settings", {}).get("search", {}).get("n_trials")
        store.add_facts(study.id, {"changed": noted, "budget": study.facts.get("budget", budget)})
        store.set_config(study.id, plan.config())
    return store.study(plan.name)


def _check_files(plan: RunPlan, study: StudyRow) -> None:
    """A search whose files lie elsewhere does not go on here, where it would train again.

    A lost state alone can be made again from the trials.
    """
    here = [plan.folder / CHECKPOINT, plan.folder / CARD]
    if study.n_trials and study.state != "finished" and not any(map(is_there, here)):
        raise NasError(
            f"study {plan.name!r} cannot be resumed here: {here[0]} is missing. Resume it in the folder and on the "
            "machine where it ran, or begin again under another name (--study-name OTHER)."
        )


def _set_aside(folder: Path, reporter: Reporter) -> None:
    """Files that another study of this name left there are neither this one's nor to be lost."""
    left = [entry for entry in sorted(folder.glob("*")) if entry.name != LOCK and not entry.match(_ASIDE)]
    if left:
        numbered = (folder / _ASIDE.replace("*", str(count)) for count in itertools.count(1))
        aside = next(path for path in numbered if not path.exists())
        aside.mkdir()
        for entry in left:
            entry.rename(aside / entry.name)
        reporter.warn(f"{folder} held files of another study of that name; they are in {aside} now.")
