"""Timing models: short bursts spread over time, between sentinels.

Every model of a batch is timed in several bursts, seconds apart and in changing order, because what disturbs a
measurement (another process, the clock, a page of memory) stays for longer than one burst. Its time is the median of
the bursts' medians. Models whose bursts disagree are timed again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from nas.errors import NasError
from nas.latency.profiling.drift import WINDOW, Drift
from nas.latency.profiling.exports import Exported
from nas.latency.profiling.lines import AnswerError
from nas.latency.profiling.targets.base import Burst, Target
from nas.latency.table import Entry

SENTINEL = "mbconv h=28 w=28 cin=32 cout=32 kernel=3 stride=1 expansion=4 se=0 act=relu"
# One of each make, small: run between the flush and a unit, they leave the runtime's code where a network would.
COMPANIONS = (
    "attention h=4 w=4 channels=32 heads=2 qk_dim=16 v_dim=32 act=hard_swish norm=layer_norm",
    "ffn h=4 w=4 channels=32 hidden=64 act=hard_swish norm=layer_norm",
    "mbconv h=8 w=8 cin=16 cout=24 kernel=3 stride=2 expansion=3 se=1 act=hard_swish",
    "mbconv h=8 w=8 cin=16 cout=16 kernel=5 stride=1 expansion=3 se=0 act=hard_swish",
)
NETWORK = Burst(warmup_ms=0.0, runs=8, least_ms=60.0)
BURSTS = 3
_CALIBRATION = 15
_GROUP = 4  # bursts between two sentinels
_REDOS = 3
_DISAGREE = 0.05
_EXTRA = 2
_WAITS, _WAIT_SECONDS = 12, 10.0
_TAIL = (5, 95)
_DIGITS = 6  # of ms: a nanosecond


@dataclass(frozen=True)
class Sample:
    """Times of one model in ms, burst by burst, corrected for drift."""

    bursts: tuple[tuple[float, ...], ...]

    @property
    def medians(self) -> list[float]:
        """Median of each burst."""
        return [float(np.median(burst)) for burst in self.bursts]

    @property
    def disagrees(self) -> bool:
        """Whether the bursts' medians lie further apart than 5 %."""
        medians = self.medians
        return max(medians) > (1 + _DISAGREE) * min(medians)

    def entry(self, source: str) -> Entry:
        """As a table's entry: median, half the width that holds 90 % of the runs, number of runs."""
        low, high = np.percentile(np.concatenate(self.bursts), _TAIL)
        runs = sum(map(len, self.bursts))
        median, spread = float(np.median(self.medians)), float(high - low) / 2
        return Entry(round(median, _DIGITS), "measured", source, round(spread, _DIGITS), runs)


class Timing:
    """Times models on a target against a sentinel."""

    def __init__(
        self,
        target: Target,
        sentinel: Exported,
        companions: Sequence[Exported] = (),
        *,
        baseline: float | None = None,
        bursts: int = BURSTS,
        unit: Burst | None = None,
        seed: int = 0,
        warn: Callable[[str], None] = lambda text: None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Load the sentinel and find its baseline.

        Args:
            companions: small models that run before every run of a unit.
            baseline: its time in ms when profiling began; None measures it now.
            bursts: of each model.
            unit: a burst of a unit and of the sentinel.
            seed: of the order.
            warn: told what could not be timed well.
            sleep: waits for seconds.

        Raises:
            NasError: the target is gone, or cannot run the sentinel.
        """
        self._target, self._sentinel, self._warn, self._sleep = target, sentinel, warn, sleep
        self._bursts = bursts
        self._unit = replace(unit or Burst(), between=tuple(model.name for model in companions))
        self._rng = np.random.default_rng(seed)
        for model in (sentinel, *companions):
            target.load(model)
        if baseline is None:
            baseline = float(np.median([self._tick() for _ in range(_CALIBRATION)]))
        self.drift = Drift(baseline)
        self.drift.steady(self._tick())

    def batch(
        self, models: Sequence[Exported], burst: Burst | None = None
    ) -> tuple[dict[str, Sample], dict[str, str]]:
        """Samples by name, and why some models could not be run, by name.

        Args:
            models: to time.
            burst: of each; a unit's by default.

        Raises:
            NasError: the target is gone, or throttled.
        """
        failures: dict[str, str] = {}
        loaded = [model for model in models if self._load(model, failures)]
        found: dict[str, list[tuple[float, ...]]] = {model.name: [] for model in loaded}
        for _ in range(self._bursts):
            self._pass(loaded, found, burst or self._unit)
        for _ in range(_EXTRA):
            again = [model for model in loaded if Sample(tuple(found[model.name])).disagrees]
            if again:
                self._pass(again, found, burst or self._unit)
        for model in loaded:
            self._target.drop(model)
        return {name: Sample(tuple(bursts)) for name, bursts in found.items()}, failures

    def _load(self, model: Exported, failures: dict[str, str]) -> bool:
        try:
            self._target.load(model)
        except AnswerError as error:
            failures[model.name] = str(error)
            return False
        return True

    def _pass(
        self, models: Sequence[Exported], found: Mapping[str, list[tuple[float, ...]]], burst: Burst
    ) -> None:
        order = [models[index] for index in self._rng.permutation(len(models))]
        for start in range(0, len(order), _GROUP):
            group = order[start : start + _GROUP]
            for model, times in zip(group, self._group(group, burst)):
                found[model.name].append(times)

    def _group(self, group: Sequence[Exported], burst: Burst) -> list[tuple[float, ...]]:
        """Bursts of a few models between two sentinels; again if those show a jump."""
        for _ in range(_REDOS + 1):
            times = [self._target.time(model, burst) for model in group]
            steady = self.drift.steady(self._tick())
            if self.drift.throttled:
                self._wait()
                continue
            if steady:
                break
        else:
            names = ", ".join(model.name for model in group)
            self._warn(
                f"the device's speed jumps by more than 10 %; after {_REDOS} repeats kept as it is: {names}"
            )
        return [tuple(self.drift.factor * ms for ms in one) for one in times]

    def _wait(self) -> None:
        """Let the device cool down, or what else runs on it end.

        Raises:
            NasError: it is as slow after two minutes.
        """
        slower = 1 / self.drift.factor
        self._warn(f"the device is {slower:.1f} times as slow as at first: throttled or busy; waiting …")
        for _ in range(_WAITS):
            self._sleep(_WAIT_SECONDS)
            self.drift.forget()
            for _ in range(WINDOW):
                self.drift.steady(self._tick())
            if not self.drift.throttled:
                return
        raise NasError(
            f"the device is throttled or busy: the sentinel kernel takes {1 / self.drift.factor:.1f} times as long as "
            f"when profiling began ({self.drift.baseline:.3f} ms), and waiting did not help. Nothing is lost; let it "
            f"cool down, stop what else runs, and give the same command again."
        )

    def _tick(self) -> float:
        return float(np.median(self._target.time(self._sentinel, self._unit)))
