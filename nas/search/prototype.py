"""The architecture that a generator starts from: a preset or the middle of the space, shrunk until it is feasible."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from nas.errors import NasError, unknown
from nas.space.batch import ArchBatch
from nas.space.space import Space

STEPS = 64


def prototype_of(
    space: Space,
    preset: str,
    violation: Callable[[ArchBatch], NDArray[np.float64]],
    option: str = "prototype",
) -> ArchBatch:
    """One arch: the first along `shrunk` that violates nothing, else the one that violates least.

    Args:
        preset: its name; "" for the middle value of every decision. One outside the space is moved to the nearest
            values that the space has.
        option: the strategy's that gives it, for messages.

    Raises:
        NasError: no such preset.
    """
    path = shrunk(space, _start(space, preset, option))
    missed = violation(path)
    return path[np.array([int(missed.argmin())])]


def shrunk(space: Space, start: NDArray[np.float64]) -> ArchBatch:
    """Archs from `start` down, uniformly: positions of all ordinal values times 1 … 0, the others kept.

    Args:
        start: codes `(decisions,)`.

    Returns:
        Distinct valid archs, `start` (or what is valid next to it) first.
    """
    ordinal = np.array([d.kind == "ordinal" for d in space.decisions])
    factors = np.linspace(1.0, 0.0, STEPS + 1)[:, None]
    codes = np.where(ordinal, np.floor(start * factors + 0.5), start)
    return space.repair(space.decode(codes.astype(np.int16))).unique()


def _start(space: Space, preset: str, option: str) -> NDArray[np.float64]:
    if not preset:
        return np.array(
            [(len(d) - 1) // 2 if d.kind == "ordinal" else 0 for d in space.decisions], dtype=float
        )
    if preset not in space.presets:
        raise NasError(f"search.options.{option}: {unknown('preset', preset, space.presets)}")
    values = space.presets[preset].values
    codes = np.zeros(len(space.decisions))
    for index, decision in enumerate(space.decisions):
        if decision.name not in values:
            continue
        code = decision.code(values[decision.name])
        if code is None and decision.kind == "ordinal":
            code = int(np.abs(decision.array - float(values[decision.name])).argmin())
        codes[index] = code or 0
    return codes
