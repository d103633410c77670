"""New architectures from the generator that a finished or stopped search has learned."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from nas.errors import NasError
from nas.metrics import Metric
from nas.pipeline.plan import RunPlan
from nas.pipeline.reproduce import plan_of
from nas.pipeline.search_state import CHECKPOINT, UNREADABLE, read_generator
from nas.search.objective import explain_empty, parse_constraint
from nas.search.strategies import strategy
from nas.search.strategies.generative import Generative
from nas.shell import words_of
from nas.space.batch import ArchBatch
from nas.store import Storage, StudyRow

NAME = "generative"

PROBE = 20_000
"""Samples of a generator by which it is said what they violate."""


@dataclass(frozen=True)
class Generated:
    """Architectures from a generator.

    Attributes:
        archs: different ones, none of which the study asked for; feasible.
        metrics: what follows from each architecture, by name.
        unchecked: constraints of the study that need an evaluation, as text.
    """

    archs: ArchBatch
    metrics: list[dict[str, Metric]]
    unchecked: tuple[str, ...]


def generate(
    study: StudyRow,
    url: str,
    n: int,
    *,
    constraints: Sequence[str] = (),
    seed: int = 0,
    space_file: str | None = None,
) -> Generated:
    """At most `n` architectures; fewer where the generator finds no more.

    Args:
        url: of the study's storage.
        constraints: in place of the study's; names of the space's requirements too.
        space_file: where the space lies, if it is not found by its name.

    Raises:
        NasError: the study has no generator here, a constraint needs an evaluation, or nothing feasible was found.
    """
    plan = _plan(study, url, constraints, space_file)
    unchecked = tuple(constraint.text for constraint in plan.constraints if not constraint.cheap)
    if constraints and unchecked:
        raise NasError(
            f"the constraint {unchecked[0]!r} needs an evaluation; architectures that are generated are not evaluated."
        )
    search = _restored(study, plan)
    archs = search.generate(n, np.random.default_rng(seed))
    if not len(archs):
        raise NasError(_why_none(plan, search, seed))
    return Generated(archs, plan.metrics.metrics(archs), unchecked)


def _plan(study: StudyRow, url: str, constraints: Sequence[str], space_file: str | None) -> RunPlan:
    timed = study.config["devices"] or study.config["latency"] != "devices"
    if not timed and any(parse_constraint(text).metric.startswith("latency") for text in constraints):
        raise NasError(
            f"study {study.name!r} was searched for no device, so no latency is known of what it generates. Search for "
            f"one: nas run {study.space} --device DEVICE --supernet {study.name} --strategy {NAME}."
        )
    changed = {**study.config, "constraints": list(constraints) or study.config["constraints"]}
    return plan_of(replace(study, config=changed), url, study.name, space_file)[0]


def _again(study: StudyRow) -> str:
    """The command of another study like this one, by the strategy that learns a generator."""
    words = [word for word in words_of(str(study.facts.get("command", ""))) if word != "--resume"]
    given = words[2:] if words[:2] == ["nas", "run"] and "--" not in words else [study.space]
    changed = ["--strategy", NAME, "--study-name", f"{study.name}-{NAME}"]
    return shlex.join(["nas", "run", *given, *changed])


def _restored(study: StudyRow, plan: RunPlan) -> Generative:
    settings = plan.settings.search
    if settings.strategy != NAME:
        raise NasError(
            f"study {study.name!r} was searched by {settings.strategy!r}, which learns no generator. Search for one: "
            f"{_again(study)}."
        )
    file = plan.folder / CHECKPOINT
    if not file.exists():
        raise NasError(
            f"study {study.name!r} has no learned generator here: {file} is missing. It lies in the folder where the "
            "study ran."
        )
    made = strategy(
        settings.strategy,
        plan.space,
        [objective.direction for objective in plan.objectives],
        seed=plan.settings.seed,
        cheap=plan.cheap,
        **settings.options,
    )
    assert isinstance(made, Generative)
    state = read_generator(file)
    if not state["trials"]:
        raise NasError(
            f"study {study.name!r} has learned nothing yet: no candidate was evaluated before it stopped. nas run … "
            "--resume goes on with it."
        )
    if list(state["strategy"].get("generator", ())) == [decision.name for decision in plan.space.decisions]:
        try:
            made.restore(state["strategy"])
        except UNREADABLE as error:
            raise NasError(
                f"{file}: not the state of this strategy ({error}); nas run … --resume makes it again."
            ) from None
    known = {trial.arch_id for trial in Storage(plan.storage, read_only=True).trials(study.id)}
    if not len(made.archs) or not set(made.archs.ids) <= known:
        raise NasError(
            f"{file} was written by another study of the name {study.name!r}, from another storage perhaps; the "
            "generator of this one is gone. Give studies in one folder different names."
        )
    return made


def _why_none(plan: RunPlan, search: Generative, seed: int) -> str:
    drawn = search.generator.sample(PROBE, np.random.default_rng(seed))
    cheap = [constraint for constraint in plan.constraints if constraint.cheap]
    if not cheap or (plan.cheap(drawn)[1] == 0).any():
        return "every feasible architecture that the generator makes was asked for by its study already."
    return f"the generator makes none that is feasible: {explain_empty(cheap, plan.metrics.values(drawn), drawn.ids)}"
