"""Running a stored study again from its run facts, and saying whether the same came out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from nas.errors import NasError
from nas.metrics import Metric
from nas.pipeline.plan import RunPlan, make_plan
from nas.pipeline.progress import Reporter
from nas.pipeline.run import execute
from nas.pipeline.study_space import space_of
from nas.plugins.compare import differing as differing_plugins
from nas.plugins.compare import identities
from nas.settings import RunSettings
from nas.store import Storage, StudyRow, TrialRow, check_resumable

_FACTS = ("versions", "threads", "machine", "workers", "git", "plugins", "data", "init", "devices")


@dataclass(frozen=True)
class Reproduction:
    """A study and the same run once more.

    Attributes:
        study, again: their names.
        trials: what differs first among the trials, in words; empty if they are equal, metric by metric.
        front: what differs between the fronts and their final numbers, in words; empty if they are equal.
        facts: what differs between the runs: fact, then, now.
    """

    study: str
    again: str
    trials: str
    front: str
    facts: tuple[tuple[str, Any, Any], ...]

    @property
    def same(self) -> bool:
        """Whether trials and fronts are the same to the last digit."""
        return not self.trials and not self.front


def reproduce(
    storage: Storage, study: StudyRow, reporter: Reporter, *, name: str = "", space_file: str | None = None
) -> Reproduction:
    """Run a study again, or go on where that was stopped, and compare.

    Where a timeout ended the study, the new one ends after as many trials.

    Args:
        name: of the new study; by default `STUDY-reproduced`.
        space_file: where the space lies, if it is not found by its name.

    Raises:
        NasError: the study is not finished, or what it needs is gone or has changed.
    """
    if study.state != "finished":
        raise NasError(f"study {study.name!r} is {study.state}; only a finished one can be compared.")
    again = name or f"{study.name}-reproduced"
    plan, source = plan_of(study, storage.address, again, space_file, changed_plugins=True)
    for line in differing_plugins(study.facts):
        reporter.warn(f"a plug-in has changed, {line}")
    if plan.name == study.name:
        raise NasError(
            f"a study is not compared with itself: give the new one another name than {plan.name!r}."
        )
    known = {one.name: one for one in storage.studies()}
    other = known.get(plan.name)
    if other is not None and other.state == "finished":
        check_resumable(other, space_hash=plan.space.hash, config=plan.config())
        reporter.say(
            f"study {other.name!r} was run on {other.updated:%Y-%m-%d %H:%M} UTC and is compared as it is; "
            "--study-name OTHER runs it once more"
        )
    else:
        execute(
            plan,
            source,
            resume=other is not None,
            reporter=reporter,
            command=["nas", "reproduce", study.name],
            trials=study.facts.get("ended_early"),
        )
    return compared(storage, study, storage.study(plan.name))


def plan_of(
    study: StudyRow, url: str, name: str, space_file: str | None = None, *, changed_plugins: bool = False
) -> tuple[RunPlan, str]:
    """The plan of a stored study under another name, and the name or file of its space.

    Args:
        changed_plugins: whether its plug-ins may have changed.
    """
    space, source = space_of(study, space_file, searches=True, changed_plugins=changed_plugins)
    config = study.config
    settings = RunSettings.model_validate(
        {**config["settings"], "objectives": config["objectives"], "constraints": config["constraints"]}
    )
    plan = make_plan(
        space,
        settings,
        devices=config["devices"],
        accuracy=_table(config["accuracy"], "supernet") or "supernet",
        latency=_table(config["latency"], "devices"),
        supernet=config["supernet"],
        name=name,
        storage=url,
        init=study.facts["init"]["from"] if "init" in config else None,
        warm_start=config.get("warm_start", ()),
        enqueue=config.get("enqueue", ()),
    )
    plan = replace(plan, openers=tuple(study.facts.get("openers", ())))
    _check_weights(study, plan)
    return plan, source


def _check_weights(study: StudyRow, plan: RunPlan) -> None:
    """Weights from elsewhere are to be the same, wherever they came from."""
    then, now = study.config.get("init"), plan.init
    if then is not None and now is not None and then["sha256"] != now.sha256:
        raise NasError(
            f"study {study.name!r} began with other weights than {now.text} holds now: SHA-256 {then['sha256']}, now "
            f"{now.sha256}. Put that file back."
        )


def _table(detail: str, otherwise: str) -> str | None:
    return None if detail == otherwise else f"table:{detail}"


def compared(storage: Storage, study: StudyRow, again: StudyRow) -> Reproduction:
    """What differs between two finished studies."""
    return Reproduction(
        study.name,
        again.name,
        _trials(storage.trials(study.id), storage.trials(again.id)),
        _front(storage.front(study.id), storage.front(again.id)),
        tuple(_differing(study.facts, again.facts)),
    )


def _trials(then: Sequence[TrialRow], now: Sequence[TrialRow]) -> str:
    for a, b in zip(then, now):
        if a.arch_id != b.arch_id:
            return f"trial {a.number} was {a.arch_id}, is {b.arch_id}"
        told = _metrics(a.metrics, b.metrics)
        if told:
            return f"trial {a.number}: {told}"
    return "" if len(then) == len(now) else f"there were {len(then)} trials, are {len(now)}"


def _front(then: Sequence[TrialRow], now: Sequence[TrialRow]) -> str:
    before, after = ({trial.arch_id: trial for trial in rows} for rows in (then, now))
    gone, new = sorted(before.keys() - after.keys()), sorted(after.keys() - before.keys())
    if gone or new:
        return f"{len(gone)} of {len(before)} members are not on it again, {len(new)} are new"
    for arch_id, trial in before.items():
        told = _metrics(trial.at("final"), after[arch_id].at("final"))
        if told:
            return f"{arch_id}, final: {told}"
    return ""


def _metrics(then: Mapping[str, Metric], now: Mapping[str, Metric]) -> str:
    for name in dict.fromkeys([*then, *now]):
        if name not in then or name not in now:
            return f"{name} is known only {'then' if name in then else 'now'}"
        a, b = then[name].value, now[name].value
        if a != b and not (math.isnan(a) and math.isnan(b)):
            return f"{name} was {a!r}, is {b!r}"
    return ""


def _differing(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    found: list[tuple[str, Any, Any]] = []
    then, now = ({**facts, "plugins": identities(facts)} for facts in (then, now))
    for fact in _FACTS:
        a, b = then.get(fact), now.get(fact)
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            found += [
                (f"{fact}: {key}", a.get(key), b.get(key))
                for key in dict.fromkeys([*a, *b])
                if a.get(key) != b.get(key) and not (fact == "data" and key not in a)  # of an earlier version
            ]
        elif a != b:
            found.append((fact, a, b))
    return found
