"""What a search evaluates before its strategy is asked: presets, the fronts of earlier studies, enqueued networks.

They are trials like any other. Which they are is written down when the study begins, so that neither another front of
an earlier study nor another preset changes a search that goes on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nas.errors import NasError, unknown
from nas.pipeline.plan import RunPlan
from nas.search.strategies import Strategy
from nas.space.batch import Arch, ArchBatch, concatenate
from nas.store import Storage
from nas.yamlfile import load_document

MOST_PRESETS = 2
"""At most one trial in so many is a preset: a budget of a few is not to be spent on them alone."""


def openers_of(plan: RunPlan, storage: Storage) -> tuple[list[dict[str, Any]], list[str]]:
    """The decisions of the architectures that a run begins with, none twice, and what is to be said of them.

    Raises:
        NasError: an earlier study that is not there or is of another space, an enqueued network that is not in the
            space or misses a constraint.
    """
    if plan.openers is not None:
        return [dict(values) for values in plan.openers], []
    fronts = [_front(plan, storage, name) for name in plan.warm_start]
    trials = plan.settings.search.n_trials
    parts = {
        "enqueued": _enqueued(plan, storage),
        "of earlier fronts": concatenate([ArchBatch.of(plan.space, []), *(front for front, _ in fronts)]),
        "presets": _presets(plan, trials // MOST_PRESETS),
    }
    batch, counts = ArchBatch.of(plan.space, []), dict[str, int]()
    for name, part in parts.items():
        more = concatenate([batch, part]).unique()
        batch, counts[name] = more, len(more) - len(batch)
    words = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    cut = f"; {trials} trials evaluate the first {trials} of {len(batch)}" if len(batch) > trials else ""
    said = [f"the first trials: {words}{cut}"] if words else []
    return batch.to_dicts(), [*(line for _, line in fronts if line), *said]


def opening_of(plan: RunPlan, archs: Sequence[dict[str, Any]]) -> ArchBatch:
    """The architectures that were written down when the study began."""
    return plan.space.encode(archs) if archs else ArchBatch.of(plan.space, [])


class Opening:
    """Asks for openers first, then a strategy.

    The last batch is drawn from what keeps the constraints where nothing did before: a strategy that comes from beyond
    them may not have arrived.

    Args:
        batch: the openers; the strategy asks for none of them.
        budget: trials that are planned.
        at: how many of them were asked for.
    """

    def __init__(self, strategy: Strategy, batch: ArchBatch, budget: int, at: int = 0) -> None:
        self.strategy, self.batch, self.budget, self.at = strategy, batch, budget, at
        strategy.reserve(batch)

    def ask(self, n: int) -> ArchBatch:
        """At most `n` openers, or what the strategy asks for where none is left."""
        if self.at >= len(self.batch):
            return self.strategy.drawn(n) if self._ends_empty(n) else self.strategy.ask(n)
        asked = self.batch[self.at : self.at + n]
        self.at += len(asked)
        return asked

    def _ends_empty(self, n: int) -> bool:
        strategy = self.strategy
        if strategy.cheap is None or strategy.asked + n < self.budget or not strategy.feasible_known:
            return False
        return not (strategy.violation(strategy.archs) == 0).any()


def _presets(plan: RunPlan, most: int) -> ArchBatch:
    """Presets that are in the space and keep the constraints, spread over the first cost where they are too many."""
    if not plan.settings.search.presets or plan.space.blueprint is None:
        return ArchBatch.of(plan.space, [])
    inside = [arch for arch in plan.space.presets.values() if plan.space.contains(arch)]
    batch = _within(plan, plan.space.encode(inside).unique()) if inside else ArchBatch.of(plan.space, [])
    if len(batch) <= most:
        return batch
    values = plan.cheap(batch)[0]
    cost = next((column for column in values.T if not np.isnan(column).any()), np.arange(len(batch)))
    order = np.argsort(cost, kind="stable")
    return (
        batch[order[np.unique(np.linspace(0, len(order) - 1, most).round().astype(int))]]
        if most
        else batch[:0]
    )


def _within(plan: RunPlan, batch: ArchBatch) -> ArchBatch:
    """Those that can be evaluated and keep the constraints that follow from the architecture."""
    return batch[np.flatnonzero(plan.cheap(batch)[1] == 0)]


def _front(plan: RunPlan, storage: Storage, name: str) -> tuple[ArchBatch, str]:
    """What of an earlier study's front can be evaluated, and a sentence where that is not all of it."""
    if name not in storage.names():
        raise NasError(f"--warm-start: {unknown('study', name, storage.names())}")
    study = storage.study(name)
    if study.space != plan.space.name:
        raise NasError(
            f"--warm-start: study {name!r} searched the space {study.space!r}; its networks are none of "
            f"{plan.space.name!r}."
        )
    archs = [_arch(plan, trial.arch) for trial in storage.front(study.id)]
    inside = [arch for arch in archs if arch is not None]
    batch = _within(plan, plan.space.encode(inside).unique()) if inside else ArchBatch.of(plan.space, [])
    if len(batch) == len(archs):
        return batch, ""
    return batch, (
        f"--warm-start: of the {len(archs)} networks of the front of {name!r}, {len(batch)} are in the space and keep "
        "the constraints; the others are left out"
    )


def _arch(plan: RunPlan, values: dict[str, Any]) -> Arch | None:
    """An architecture of an earlier study; None where the space is another now and has it no longer."""
    try:
        return plan.space.encode([values])[0]
    except NasError:
        return None


def _enqueued(plan: RunPlan, storage: Storage) -> ArchBatch:
    rows = [(text, values) for wanted in plan.enqueue for text, values in _values(storage, wanted)]
    if not rows:
        return ArchBatch.of(plan.space, [])
    batches = []
    for text, values in rows:
        try:
            batches.append(plan.space.encode([values]))
        except NasError as error:
            raise NasError(f"--enqueue {text}: {error}") from None
        if plan.cheap(batches[-1])[1][0] > 0:
            raise NasError(
                f"--enqueue {text}: this network misses the constraints, or no table knows it; leave it out, or loosen "
                "them."
            )
    return concatenate(batches).unique()


def _values(storage: Storage, wanted: str | Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Decisions by name of what `--enqueue` names, each with a name for people.

    A file holds the decisions of a network, or names of networks with the decisions of each, as presets of a space.

    Raises:
        NasError: neither a trial that is there nor a file of decisions.
    """
    if not isinstance(wanted, str):
        return [(json.dumps(dict(wanted)), wanted)]
    study, slash, number = wanted.rpartition("/")
    if slash and number.isdecimal() and study in storage.names():
        trials = storage.trials(storage.study(study).id)
        if int(number) >= len(trials):
            known = f"the trials 0 to {len(trials) - 1}" if trials else "no trials"
            raise NasError(f"--enqueue {wanted}: study {study!r} has {known}.")
        return [(wanted, trials[int(number)].arch)]
    path = Path(wanted)
    if not path.is_file():
        raise NasError(
            f"--enqueue {wanted!r}: neither STUDY/NUMBER of a trial in this storage nor a YAML file of decisions."
        )
    data = load_document(path).data
    if data and all(isinstance(values, Mapping) for values in data.values()):
        return [(f"{wanted}: {name}", dict(values)) for name, values in data.items()]
    return [(wanted, data)]
