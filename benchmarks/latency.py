"""Latencies of architectures per second: summed from a device's tabulated predictions, and through a network residual.

Beside both stands the plain way: lower one architecture, look each of its layers up in a dictionary, add. The residual
is learned from 60 made-up networks whose time has steps in the resolution, so that its trees are in use.

    OMP_NUM_THREADS=2 python benchmarks/latency.py
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from nas.latency.device import Device, load_device
from nas.latency.network import network_sums
from nas.latency.residual import fit_residual
from nas.latency.signature import rows_of
from nas.latency.spread import half_width
from nas.latency.timed_units import TimedUnits
from nas.space import Space, load_space

BATCH, LOOPED, NETWORKS = 1_000_000, 500, 60


def main() -> None:
    """Print the rates and their ratios."""
    space, device = load_space("elasticvit"), load_device("pixel6")
    corrected = with_residual(space, device)
    batch = space.sample(BATCH, seed=0)
    for one in (device, corrected):
        start = time.perf_counter()
        one.latency(space, batch[:10])
        print(f"plan made once: {time.perf_counter() - start:.2f} s")
    sums = rate(lambda: device.latency(space, batch))
    residual = rate(lambda: corrected.latency(space, batch))
    looped = dictionary_rate(space, device)
    print(f"dictionary sum:                 {looped:12,.0f} archs/s")
    print(f"sum of units with interval:     {sums:12,.0f} archs/s  → {sums / looped:,.0f}x")
    print(f"through the network residual:   {residual:12,.0f} archs/s  → {residual / looped:,.0f}x")


def rate(run: Callable[[], object], repeats: int = 5) -> float:
    """Architectures a second, median of five."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return BATCH / sorted(seconds)[repeats // 2]


def with_residual(space: Space, device: Device) -> Device:
    """The device with a residual whose trees are in use."""
    assert device.predictor is not None
    kinds = device.predictor.kinds
    batch = space.sample(NETWORKS, seed=1)
    units = TimedUnits("made up", None, device.predictor, frozenset(device.file.free), kinds)
    values = network_sums(units, space.lower(batch), len(batch))
    measured = values["latency"] * np.where(values["side"] > 180, 1.2, 1.0)
    half = half_width(values, device.predictor.report.spread)
    residual = fit_residual(values, half, measured, kinds, seed=0)
    assert residual is not None and residual.report.form == "trees"
    return replace(device, predictor=replace(device.predictor, residual=residual))


def dictionary_rate(space: Space, device: Device) -> float:
    """Architectures a second, one at a time, layers looked up in a dictionary."""
    archs = list(space.sample(LOOPED, seed=0))
    table = {}
    for arch in archs:
        for slot in space.lower(arch):
            if slot.active:
                row = tuple(rows_of(slot.kind, slot.sizes)[0].tolist())
                table[slot.kind, row] = float(device.unit_times(slot.kind, slot.sizes).ms[0])
    start = time.perf_counter()
    found = [
        sum(table[slot.kind, tuple(slot.sizes.values())] for slot in space.lower(arch) if slot.active)
        for arch in archs
    ]
    seconds = time.perf_counter() - start
    batched = np.asarray(device.latency(space, space.sample(LOOPED, seed=0)))
    assert np.allclose(found, batched, rtol=1e-6)
    return LOOPED / seconds


if __name__ == "__main__":
    main()
