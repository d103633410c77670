"""The sentinel and its companions on a target: every time of a device is relative to the same sentinel, timed alike."""

from __future__ import annotations

from collections.abc import Callable

from nas.errors import NasError
from nas.latency.profiling.exports import Exports, Wanted
from nas.latency.profiling.targets.base import Burst, Target
from nas.latency.profiling.timing import BURSTS, COMPANIONS, SENTINEL, Timing
from nas.latency.profiling.use import working_set_kib
from nas.space.space import Space


def timing_of(
    target: Target,
    exports: Exports,
    space: Space,
    *,
    baseline: float | None,
    bursts: int = BURSTS,
    seed: int = 0,
    warn: Callable[[str], None] = lambda text: None,
) -> Timing:
    """Timing of a space's units and networks on a target.

    Args:
        space: how large its networks are decides what lies in the caches between two units.
        baseline: the sentinel's time in ms when profiling of the device began; None measures it now.
        bursts: of each unit and network.
        seed: of orders.
        warn: told what could not be timed well.

    Raises:
        NasError: the sentinel cannot be exported, or the target is gone or cannot run it.
    """
    found, failures = exports.get([Wanted.unit(name) for name in (SENTINEL, *COMPANIONS)])
    if SENTINEL in failures:
        raise NasError(f"the sentinel kernel cannot be exported: {failures[SENTINEL]}")
    unit = Burst(flush_kib=working_set_kib(space))
    return Timing(
        target, found[0], found[1:], baseline=baseline, bursts=bursts, unit=unit, seed=seed, warn=warn
    )
