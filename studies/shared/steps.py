"""Processor time of training steps, several trainings by turns."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
from seeds import Contender
from timing import Times

from nas.supernet.trainer import StepReport

WARMUP = 5
NEVER = ("train.checkpoint_every=999999999", "train.checkpoint_seconds=1e9")


def step_times(
    contenders: Mapping[str, Contender], data: str, rounds: int, seed: int = 0
) -> dict[str, Times]:
    """Milliseconds of one step of each training; every one does a step in each round, in an order that changes.

    Args:
        contenders: by name; their trainings must have more than `rounds` + 5 steps.
        seed: of the trainings and the orders.
    """
    trainings = {name: _steps(contender, data, seed) for name, contender in contenders.items()}
    names, rng = list(trainings), np.random.default_rng(seed)
    runs: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(WARMUP + rounds):
        for index in rng.permutation(len(names)):
            begun = time.process_time()
            next(trainings[names[index]])
            runs[names[index]].append(1e3 * (time.process_time() - begun))
    return {name: Times(np.array(found[WARMUP:])) for name, found in runs.items()}


def _steps(contender: Contender, data: str, seed: int) -> Iterator[StepReport]:
    """A new training of a name of its own, which writes no checkpoints."""
    timed = replace(contender, name=f"timed {contender.name}", settings=(*contender.settings, *NEVER))
    job, loaded = timed.job(data, seed)
    return job.trainer(loaded).steps()
