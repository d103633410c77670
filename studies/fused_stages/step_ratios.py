"""The measured time of a training step of networks that differ in the kind of their stages."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from timing import Times

from nas.errors import NasError
from nas.latency.profiling.exports import Exports, Wanted, discard
from nas.latency.profiling.runtimes.base import runtime_of
from nas.latency.profiling.targets.base import Burst
from nas.latency.profiling.targets.local import local_target
from nas.space.batch import Arch
from nas.space.space import Space

RUNTIME, THREADS, WARMUP = "training", 1, 3
FUSED, INVERTED, STAGES = "fused_bottleneck", "inverted_bottleneck", ("S1", "S2", "S3", "S4", "S5", "S6")
ONCE = Burst(warmup=0, warmup_ms=0.0, runs=1, least_ms=0.0)


def one_fused(space: Space) -> dict[str, Arch]:
    """For every stage the network in which it alone is fused."""
    found = {}
    for stage in STAGES:
        kinds = {f"{one}.block": FUSED if one == stage else INVERTED for one in STAGES}
        found[stage] = Arch(space, {**space.presets["none"].values, **kinds})
    return found


def step_times(space: Space, source: Path, archs: Mapping[str, Arch], rounds: int) -> dict[str, Times]:
    """Training steps of networks by turns, in an order that changes; `runs` of all are round by round.

    Raises:
        NasError: one cannot be exported or run.
    """
    by_id = {arch.id: arch for arch in archs.values()}
    wanted = {a.id: Wanted.network(str(source), space.name, a.id, a.values) for a in by_id.values()}
    with Exports(runtime_of(RUNTIME)) as exports, local_target(RUNTIME, THREADS) as target:
        target.facts()
        models, failures = exports.get(list(wanted.values()))
        if failures:
            name, why = next(iter(failures.items()))
            raise NasError(f"`{name}` cannot be exported: {why}")
        for model in models:
            target.load(model)
            discard(model)
            target.time(model, Burst(warmup=WARMUP, runs=1, least_ms=0.0))
        rng = np.random.default_rng(0)
        runs = np.zeros((len(models), rounds))
        for turn in range(rounds):
            for index in rng.permutation(len(models)):
                runs[index, turn] = target.time(models[index], ONCE)[0]
    at = {model.name: index for index, model in enumerate(models)}
    return {name: Times(runs[at[wanted[arch.id].name]]) for name, arch in archs.items()}
