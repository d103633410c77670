"""Profiling a device: rounds of units and networks, each followed by a fit that says where to look next.

The first round spreads over the space, the following ones time what the predictor is unsure of and the space uses.
It ends when the error asked for is reached, or the time, or the number of units; everything timed is on disk after
every batch, and the same call goes on where it was stopped.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from nas.errors import NasError
from nas.latency.fit import fit_predictor
from nas.latency.network_table import NetworkTable
from nas.latency.predictor import Predictor
from nas.latency.profiling.choice import known_units, most_useful, spread_out
from nas.latency.profiling.exports import Exports, Wanted, discard
from nas.latency.profiling.folder import STATE, DeviceFolder
from nas.latency.profiling.others import spaces_of
from nas.latency.profiling.sentinel import timing_of
from nas.latency.profiling.targets.base import Burst, Target
from nas.latency.profiling.timing import NETWORK, SENTINEL, Timing
from nas.latency.profiling.use import Use
from nas.latency.profiling.whole import spread_networks
from nas.latency.signature import format_signature
from nas.latency.table import Entry, Key, LatencyTable
from nas.space.batch import Arch
from nas.space.space import Space

if TYPE_CHECKING:
    from nas.pipeline.progress import Reporter

Item = TypeVar("Item")

UNITS_AT_ONCE, NETWORKS_AT_ONCE = 12, 4
FIRST_ROUND = 96
_GROWTH = 0.5  # a round times half as many units as are known, so that fits stay few
_NETWORK_SHARE = 0.35  # of a budget, at most, goes to whole networks
_FIRST_SHARE = 0.5  # of a budget, at most, goes to the first units, so that networks are timed too
_FEW_NETWORKS = 15  # that a network-level error is believed of
_ROUNDS_OF_NETWORKS = 3
_FIRST_OVER_READY = 3  # a batch has some three times as many exports and bursts as getting ready


@dataclass(frozen=True)
class Limits:
    """When profiling ends.

    Attributes:
        seconds: of this call, exports and fits included; None: no limit.
        units: units of the space in the table; None: all of them.
        networks: whole networks of the space to time.
        error: mean error of networks, or of units weighed by use if no networks are timed, as a fraction.
    """

    seconds: float | None = None
    units: int | None = None
    networks: int = 30
    error: float = 0.05


@dataclass
class Profiler:
    """One call of profiling.

    Attributes:
        space, source: what is profiled, and the name or path it was read from.
        uses: the space's units by kind (`space_use`).
        target: where models run.
        exports: makes model files for the target's runtime.
        folder: what is written.
        limits: when it ends.
        reporter: who is told.
        like: predictors of other devices to start from.
        seed: of orders, draws and folds.
        stop: asked between batches whether to stop early.
    """

    space: Space
    source: str
    uses: dict[str, Use]
    target: Target
    exports: Exports
    folder: DeviceFolder
    limits: Limits
    reporter: Reporter
    like: Sequence[Predictor] = ()
    seed: int = 0
    stop: Callable[[], bool] = lambda: False
    _begun: float = field(default_factory=time.monotonic)
    _on_networks: float = 0.0
    _longest: dict[bool, float] = field(default_factory=dict)
    _fit_seconds: float = 0.0
    _failed: dict[str, str] = field(default_factory=dict)
    _spaces: Mapping[str, Space] = field(default_factory=dict)
    _ready_seconds: float = 0.0

    def run(self) -> Predictor | None:
        """Profile until a limit is reached; the predictor, or None if it was stopped early.

        Raises:
            NasError: the target is gone or throttled, files cannot be written, or the budget ended before
                anything was timed; what was timed is kept.
        """
        timing = self._timing()
        self.folder.remember(self.space.name, self.source)
        self._spaces = spaces_of(self.folder, self.space, self.reporter.warn)
        archs = spread_networks(self.space, self.limits.networks, self.seed + 1)
        predictor: Predictor | None = None
        fitted_on = (-1, -1)
        for number in range(1, 1000):
            units = self._next_units(predictor)
            part = min(-(-self.limits.networks // _ROUNDS_OF_NETWORKS) * number, self.limits.networks)
            before = self._size
            self._time_units(timing, units, number)
            self._time_networks(timing, archs[:part], number)
            if self.stop():
                return None
            over = self._over()
            if self._size != fitted_on:
                predictor, fitted_on = self._fit(), self._size
                over = self._reached(predictor, number) or over
            if over or (self._size == before and part == self.limits.networks):
                break
        self._tell_failures()
        if predictor is None and self.limits.seconds is not None and not self.stop():
            raise NasError(self._too_short(self.limits.seconds))
        return predictor

    @property
    def _size(self) -> tuple[int, int]:
        return len(self.folder.table), len(self.folder.networks)

    @property
    def _networks(self) -> int:
        """How many networks of this space are timed."""
        return sum(space == self.space.name for space, _ in self.folder.networks.entries)

    def _timing(self) -> Timing:
        begun, known = time.monotonic(), self.folder.baseline
        if known is None and any(self._size):
            self.reporter.warn(
                f"{self.folder.path / STATE} is not there: the sentinel is timed anew, so that drift between the times "
                f"already in the tables and those of now cannot be taken out"
            )
        timing = timing_of(
            self.target,
            self.exports,
            self.space,
            baseline=known,
            seed=self.seed,
            warn=self.reporter.warn,
        )
        if known is None:
            self.folder.start(timing.drift.baseline, SENTINEL)
        self._ready_seconds = time.monotonic() - begun
        return timing

    def _too_short(self, seconds: float) -> str:
        first = _FIRST_OVER_READY * self._ready_seconds
        enough = 10 * math.ceil(max(self._ready_seconds + first, 2 * seconds) / 10 + 1)
        return (
            f"the budget of {seconds:g} s ended before anything was timed: getting ready took "
            f"{self._ready_seconds:.1f} s, and a first batch of {UNITS_AT_ONCE} units takes about {first:.0f} s more. "
            f"Give --budget {enough}s or more; a few minutes make a useful table."
        )

    def _next_units(self, predictor: Predictor | None) -> list[Key]:
        known = self.folder.table
        most = self.limits.units if self.limits.units is not None else sum(map(_count, self.uses.values()))
        here = known_units(self.uses, known)
        keys = spread_out(self.uses, known, min(FIRST_ROUND, most))
        if not keys and predictor is not None:
            room = min(max(int(_GROWTH * here), UNITS_AT_ONCE), most - here)
            keys = most_useful(self.uses, known, predictor.predict, max(room, 0))
        return [key for key in keys if format_signature(*key) not in self._failed]

    def _time_units(self, timing: Timing, keys: Sequence[Key], number: int) -> None:
        by_name = {format_signature(*key): key for key in keys}
        with self.reporter.task(f"round {number}: units", len(by_name)) as task:
            for names in _batches(list(by_name), UNITS_AT_ONCE):
                if self.stop() or self._over() or (number == 1 and self._first_cost_too_much()):
                    return
                entries = self._timed(timing, [Wanted.unit(name) for name in names])
                new = LatencyTable({by_name[name]: entry for name, entry in entries.items()})
                self.folder.save(self.folder.table.merge(new), self.folder.networks)
                for _ in names:
                    task.advance()

    def _time_networks(self, timing: Timing, archs: Sequence[Arch], number: int) -> None:
        left = [arch for arch in archs if (self.space.name, arch.id) not in self.folder.networks]
        left = [arch for arch in left if self._wanted(arch).name not in self._failed]
        with self.reporter.task(f"round {number}: networks", len(left)) as task:
            for some in _batches(left, NETWORKS_AT_ONCE):
                if self.stop() or self._over(True) or self._networks_cost_too_much():
                    return
                begun = time.monotonic()
                wanted = {self._wanted(arch).name: arch for arch in some}
                entries = self._timed(timing, [self._wanted(arch) for arch in some], NETWORK)
                new = NetworkTable(
                    (self.space.name, wanted[name].values, entry) for name, entry in entries.items()
                )
                self.folder.save(self.folder.table, self.folder.networks.merge(new))
                self._on_networks += time.monotonic() - begun
                for _ in some:
                    task.advance()

    def _wanted(self, arch: Arch) -> Wanted:
        return Wanted.network(self.source, self.space.name, arch.id, arch.values)

    def _timed(
        self, timing: Timing, wanted: Sequence[Wanted], burst: Burst | None = None
    ) -> dict[str, Entry]:
        begun = time.monotonic()
        exported, failures = self.exports.get(wanted)
        try:
            samples, refused = timing.batch(exported, burst)
        finally:
            for model in exported:
                discard(model)
        self._failed.update({**failures, **refused})
        if len(self._failed) and not samples and not self._size[0]:
            name, why = next(iter(self._failed.items()))
            raise NasError(f"nothing can be timed; the first one, `{name}`: {why}")
        whole = burst is not None
        self._longest[whole] = max(self._longest.get(whole, 0.0), time.monotonic() - begun)
        return {name: sample.entry(self.folder.source) for name, sample in samples.items()}

    def _fit(self) -> Predictor | None:
        if not len(self.folder.table):
            return None
        begun = time.monotonic()
        predictor = fit_predictor(
            self.folder.table,
            name=self.folder.name,
            data=self.folder.data(),
            seed=self.seed,
            networks=self.folder.networks if len(self.folder.networks) else None,
            spaces=self._spaces,
            like=list(self.like) or None,
        )
        self.folder.keep(predictor)
        self._fit_seconds = time.monotonic() - begun
        return predictor

    def _reached(self, predictor: Predictor | None, number: int) -> bool:
        if predictor is None:
            return False
        units, networks = len(self.folder.table), self._networks
        residual = predictor.report.residual
        weighed = unit_error(predictor, self.uses)
        said = (
            f"error {100 * weighed:.1f} % of units, weighed by use"
            if weighed is not None
            else "error unknown"
        )
        if residual:
            said += f"; {100 * residual.errors.mean:.1f} % of networks left out"
        self.reporter.say(f"round {number}: {units:,} units, {networks} networks; {said}")
        if not self.limits.networks:
            return weighed is not None and weighed <= self.limits.error
        enough = networks >= min(_FEW_NETWORKS, self.limits.networks)
        return residual is not None and enough and residual.errors.mean <= self.limits.error

    def _over(self, whole: bool = False) -> bool:
        """Whether another batch (of networks, if `whole`), and the fit after it, would not end in time."""
        if self.limits.seconds is None:
            return False
        spent = time.monotonic() - self._begun
        return spent + self._longest.get(whole, 0.0) + 1.5 * self._fit_seconds > self.limits.seconds

    def _first_cost_too_much(self) -> bool:
        spent = time.monotonic() - self._begun
        wanted = self.limits.networks > self._networks
        return wanted and self.limits.seconds is not None and spent > _FIRST_SHARE * self.limits.seconds

    def _networks_cost_too_much(self) -> bool:
        return self.limits.seconds is not None and self._on_networks > _NETWORK_SHARE * self.limits.seconds

    def _tell_failures(self) -> None:
        for name, why in list(self._failed.items())[:5]:
            self.reporter.warn(f"not timed: `{name}`: {why}")
        if len(self._failed) > 5:
            self.reporter.warn(f"{len(self._failed) - 5} more could not be timed")


def unit_error(predictor: Predictor, uses: dict[str, Use]) -> float | None:
    """Mean held-out error of units as a fraction, each kind weighing what it takes of a network's time."""
    by_trees, by_kernels = predictor.report.kinds, predictor.report.kernels.timed
    kinds = {kind: one.errors for kind, one in by_kernels.items()}
    kinds |= {kind: about.errors for kind, about in by_trees.items()}
    if not kinds:
        return predictor.report.errors.mean if predictor.report.errors else None
    weights = {
        kind: float(use.count @ predictor.predict(kind, use.rows).ms)
        for kind, use in uses.items()
        if kind in kinds
    }
    total = sum(weights.values())
    return sum(weight * kinds[kind].mean for kind, weight in weights.items()) / total if total else None


def _count(use: Use) -> int:
    return len(use.rows)


def _batches(items: Sequence[Item], size: int) -> list[Sequence[Item]]:
    return [items[start : start + size] for start in range(0, len(items), size)]
