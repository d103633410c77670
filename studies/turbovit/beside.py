"""Found networks beside Hiera-T shrunk into the same box: counts, times in a real runtime, accuracy trained alone."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from searches import Bench

from nas.latency.profiling.runtimes.onnxruntime_runtime import OnnxRuntime
from nas.latency.profiling.timer import Onnxruntime
from nas.metrics import Metric
from nas.pipeline.progress import ConsoleReporter, Interrupt
from nas.pipeline.retraining import prepare, retrain
from nas.search.prototype import prototype_of
from nas.space.batch import Arch
from nas.store import Storage
from nas.supernet.network import build

TURNS = {1: 25, 32: 6}
BATCHES = tuple(TURNS)
REFERENCE = "Hiera-T"


@dataclass(frozen=True)
class Timed:
    """Fastest and median run of one network, in ms."""

    fastest: float
    median: float


def reference(bench: Bench) -> Arch:
    """Hiera-T, every decision shrunk alike until it lies in the box."""
    return prototype_of(bench.space, REFERENCE, lambda batch: bench.plan.cheap(batch)[1])[0]


def timed(bench: Bench, archs: Sequence[Arch], batch: int) -> list[Timed]:
    """The networks at their deployment resolution, by turns, so that what slows the machine slows all of them."""
    side = bench.space.definition["input"]["resolution"]
    runtime = Onnxruntime(1)
    loaded = []
    for arch in archs:
        network = build(bench.space, arch, seed=0).eval()
        example = torch.randn(batch, 3, side, side, generator=torch.Generator().manual_seed(0))
        loaded.append(runtime.load(OnnxRuntime.export(network, example), list(example.shape)))
    runs = np.zeros((TURNS[batch], len(archs)))
    for turn in range(TURNS[batch]):
        for index, model in enumerate(loaded):
            begun = time.perf_counter()
            model.run()
            runs[turn, index] = 1e3 * (time.perf_counter() - begun)
    return [Timed(float(one.min()), float(np.median(one))) for one in runs.T]


def alone(supernet: str, arch: Arch, steps: int) -> Metric:
    """Top-1 on test images of the network trained alone from new weights."""
    study = Storage(None).study(supernet)
    job, data = prepare(study, arch.values, "scratch", [f"train.steps={steps}", "threads=1"])
    with Interrupt() as interrupt:
        return retrain(job, data, ConsoleReporter(), interrupt, resume=job.folder.exists()).accuracy


def row(
    bench: Bench, name: str, arch: Arch, times: Mapping[int, Timed], trained: Metric, steps: int
) -> dict[str, object]:
    """A row of the table."""
    costs = bench.plan.metrics.metrics(bench.space.encode([arch]))[0]
    inherited = bench.evaluator.final(arch)
    spread = {
        f"host ms, batch {batch}: fastest (median)": f"{found.fastest:.1f} ({found.median:.1f})"
        for batch, found in times.items()
    }
    return {
        "network": name,
        "parameters": int(costs["params"].value),
        "MACs": int(costs["macs"].value),
        **spread,
        "top-1 test, inherited": _shown(inherited),
        f"top-1 test, alone, {steps} steps": _shown(trained),
        "architecture": arch.id,
    }


def _shown(metric: Metric) -> str:
    low, high = metric.low or 0.0, metric.high or 0.0
    return f"{100 * metric.value:.1f} % ({100 * low:.1f}–{100 * high:.1f})"
