"""Mutation, crossover, recombination of several and features of arch batches, by decision type."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nas.space.batch import ArchBatch


def mutate(batch: ArchBatch, rng: np.random.Generator, probability: float | None = None) -> ArchBatch:
    """Each decision changes with `probability` (default: one in n on average, at least one per arch).

    Ordinal decisions move by a geometrically distributed number of steps up or down, categorical ones to
    another value, all equally likely; the result is repaired.
    """
    space, codes = batch.space, batch.codes.astype(np.int64)
    n, width = codes.shape
    sizes = np.array([len(d) for d in space.decisions])
    movable = (sizes > 1)[None, :] & space.active(batch.codes)
    rate = probability if probability is not None else 1.0 / np.maximum(movable.sum(axis=1, keepdims=True), 1)
    chosen = (rng.random((n, width)) < rate) & movable
    forced = np.where(movable, rng.random((n, width)), -1.0).argmax(axis=1)
    none = ~chosen.any(axis=1) & movable.any(axis=1)
    chosen[none, forced[none]] = True
    steps = rng.geometric(0.6, size=(n, width)) * rng.choice([-1, 1], size=(n, width))
    up_or_down = codes + steps
    reflected = np.where((up_or_down < 0) | (up_or_down >= sizes), codes - steps, up_or_down)
    ordinal = np.clip(reflected, 0, sizes - 1)
    other = (codes + rng.integers(1, np.maximum(sizes, 2), size=(n, width))) % sizes
    ordered = np.array([d.kind == "ordinal" for d in space.decisions])
    changed = np.where(chosen, np.where(ordered, ordinal, other), codes)
    return space.repair(ArchBatch(space, changed))


def crossover(a: ArchBatch, b: ArchBatch, rng: np.random.Generator) -> ArchBatch:
    """Each decision from either parent with equal probability, repaired."""
    from_a = rng.random(a.codes.shape) < 0.5
    return a.space.repair(ArchBatch(a.space, np.where(from_a, a.codes, b.codes)))


def recombine(batch: ArchBatch, parents: NDArray[np.int64], rng: np.random.Generator) -> ArchBatch:
    """Each decision from any of a child's parents with equal probability, repaired.

    Args:
        parents: rows of the batch, `(k, n)` for n children.
    """
    n, width = parents.shape[1], batch.codes.shape[1]
    chosen = rng.integers(len(parents), size=(n, width))
    rows = np.take_along_axis(parents.T, chosen, axis=1)
    return batch.space.repair(ArchBatch(batch.space, batch.codes[rows, np.arange(width)]))


def features(batch: ArchBatch) -> tuple[NDArray[np.float32], list[str]]:
    """Matrix `(n, f)` and column names.

    Ordinal decisions give their value (-1 where without effect), categorical ones a 0/1 column per value.
    """
    space = batch.space
    active = space.active(batch.codes)
    columns: list[NDArray[np.float32]] = []
    names: list[str] = []
    for index, decision in enumerate(space.decisions):
        codes, on = batch.codes[:, index], active[:, index]
        if decision.kind == "ordinal":
            columns.append(np.where(on, decision.array[codes], -1).astype(np.float32))
            names.append(decision.name)
            continue
        for code, value in enumerate(decision.values):
            columns.append(((codes == code) & on).astype(np.float32))
            names.append(f"{decision.name}={value}")
    return np.stack(columns, axis=1), names
