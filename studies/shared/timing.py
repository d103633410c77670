"""Latency of networks in ONNX Runtime: all of them by turns, so that what slows the machine slows every one.

A round runs every model once in a new order, after a warm-up run that is not counted; there are many rounds. Times are
medians with percentiles over the rounds. With one thread, time that other processes took away is not counted
(`nas.latency.profiling.timer.Stopwatch`): a run's time is its thread's processor time where that is less than what
passed on the wall.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nas.latency.profiling.modules import Model, network_model, unit_model
from nas.latency.profiling.runtimes.onnxruntime_runtime import OnnxRuntime
from nas.latency.profiling.timer import Loaded, Onnxruntime, Stopwatch
from nas.space.batch import Arch
from nas.space.space import Space

FloatArray = npt.NDArray[np.float64]
THREADS, ROUNDS, WARMUP = 1, 30, 3
TAIL = (5, 95)


@dataclass(frozen=True)
class Exported:
    """A model in ONNX and the shape of its input."""

    content: bytes
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Times:
    """Times of one model in ms, one of each round, `(rounds,)`."""

    runs: FloatArray

    @property
    def median(self) -> float:
        """Median over the rounds."""
        return float(np.median(self.runs))

    @property
    def tail(self) -> tuple[float, float]:
        """5th and 95th percentile over the rounds."""
        low, high = np.percentile(self.runs, TAIL)
        return float(low), float(high)

    @property
    def shown(self) -> str:
        """The median and, in brackets, the percentiles."""
        low, high = self.tail
        return f"{self.median:.3g} ({low:.3g}–{high:.3g})"


def exported_network(space: Space, arch: Arch) -> Exported:
    """A whole network in its deployed form, at its own resolution, batch 1, random weights."""
    return _exported(network_model(space, arch))


def exported_unit(signature: str) -> Exported:
    """One unit in its deployed form, batch 1, random weights."""
    return _exported(unit_model(signature))


def interleaved(
    models: Mapping[str, Exported], rounds: int = ROUNDS, seed: int = 0, threads: int = THREADS
) -> dict[str, Times]:
    """Times of the models by name, every one once a round in an order that changes.

    Args:
        models: all are in memory together.
        rounds: runs of each that are counted.
        seed: of the orders.
        threads: of the runtime.
    """
    runtime, watch = Onnxruntime(threads), Stopwatch(threads)
    loaded = {name: runtime.load(model.content, list(model.shape)) for name, model in models.items()}
    for model in loaded.values():
        for _ in range(WARMUP):
            model.run()
    names, rng = list(loaded), np.random.default_rng(seed)
    runs: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds):
        for index in rng.permutation(len(names)):
            runs[names[index]].append(_once(watch, loaded[names[index]]))
    return {name: Times(np.array(times)) for name, times in runs.items()}


def _exported(model: Model) -> Exported:
    return Exported(OnnxRuntime.export(model.module, model.example), tuple(model.example.shape))


def _once(watch: Stopwatch, model: Loaded) -> float:
    """Milliseconds of one run, right after one that brings the model's weights to hand."""
    model.run()
    return watch.once(model, 0, []) / 1e6
