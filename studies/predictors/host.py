"""A profiled device against its own clock: networks never profiled, each timed twice.

python studies/predictors/host.py devices/host-onnxruntime devices/host-executorch    (folders of nas device profile)

Run it on the machine that was profiled, with nothing else running. It can be interrupted and run again.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from drawing import COLOURS, Panel, figure
from study import Row, arguments, run, say, write_tables

import nas
from nas.files import write_atomically
from nas.latency.arch.scores import score
from nas.latency.device import Device, load_device
from nas.latency.metric_array import MetricArray
from nas.latency.network_table import NetworkTable
from nas.latency.profiling.known_device import network_timing
from nas.latency.report import Errors
from nas.latency.spread import sample_networks
from nas.latency.times import FloatArray
from nas.pipeline.progress import ConsoleReporter
from nas.space.batch import Arch
from nas.space.space import Space

FRESH_SEED = 987_654  # not one that profiling draws its own networks with


def main() -> None:
    """Run the study and write its tables and figure."""
    parser = arguments("host", __doc__.splitlines()[0], data=False)
    parser.add_argument("devices", nargs="+", help="profiled devices: folders or names")
    parser.add_argument("--space", default="elasticvit", help="space of the networks (default elasticvit)")
    parser.add_argument("--networks", type=int, default=100, help="networks, presets included (default 100)")
    parser.add_argument("--again", type=int, default=10, help="profiled networks timed again (default 10)")
    options = parser.parse_args()
    space, rows, panels = nas.load_space(options.space), [], []
    for name in options.devices:
        device = load_device(name)
        archs = fresh(space, device, options.networks)
        known, then = profiled(space, device, options.again)
        first, second = timed_twice(device, options.space, [*archs, *known], options.output)
        change = float(np.median(then / first[len(archs) :])) if known else float("nan")
        first, second = first[: len(archs)], second[: len(archs)]
        say(device.describe())
        found = report(device, space, archs, first, second, change)
        rows += found
        for row in found:
            say("  " + " ".join(str(cell) for cell in row.values()))
        panels.append(panel(device, space, archs, first, second))
    write_tables(options.output, "results", rows)
    legend = (("predicted / timed", COLOURS[0]), ("timed again / timed", COLOURS[1]), ("±10 %", COLOURS[4]))
    write_atomically(options.output / "networks.svg", figure(panels, 2, legend))


def fresh(space: Space, device: Device, count: int) -> list[Arch]:
    """The presets, then networks drawn from the whole space; none that the device was profiled with."""
    drawn = sample_networks(space, 2 * count, FRESH_SEED).unique()
    every = {arch.id: arch for arch in (*space.presets.values(), *drawn)}
    new = [arch for arch_id, arch in every.items() if (space.name, arch_id) not in device.networks]
    return new[:count]


def profiled(space: Space, device: Device, count: int) -> tuple[list[Arch], FloatArray]:
    """Networks that the device was profiled with, of all sizes, and their times then in ms."""
    archs, times = device.networks.of(space)
    order = np.argsort(times.ms)
    chosen = order[np.linspace(0, len(order) - 1, min(count, len(order))).round().astype(int)]
    return [archs[at] for at in chosen], times.ms[chosen]


def timed_twice(
    device: Device, source: str, archs: list[Arch], output: Path
) -> tuple[FloatArray, FloatArray]:
    """Two times of each network in ms, `(n,)` each, all others between the two, from the device's runtime."""
    paths = [output / f"{device.name}-{turn}.csv" for turn in ("first", "second")]
    tables = [NetworkTable.read(path) if path.exists() else NetworkTable() for path in paths]
    keys = [(arch.space.name, arch.id) for arch in archs]
    left = [arch for arch, key in zip(archs, keys) if any(key not in table for table in tables)]
    if left:
        with network_timing(device, left[0].space, source, ConsoleReporter()) as timing:
            by_id = {arch.id: arch for arch in left}
            for turn, timed in timing.turns(left, len(tables)):
                listed = [(by_id[one].space.name, by_id[one].values, entry) for one, entry in timed.items()]
                tables[turn] = tables[turn].merge(NetworkTable(listed))
                tables[turn].write(paths[turn])
                say(f"{device.name}: {len(tables[turn])} of {len(archs)} networks, time {turn + 1}")
    first, second = (np.array([table[key].median_ms for key in keys]) for table in tables)
    return first, second


def predicted(device: Device, space: Space, archs: list[Arch]) -> MetricArray:
    """The device's latencies with intervals, `(n,)`; archs may be presets outside the ranges."""
    found = [device.latency(space, arch) for arch in archs]
    low, high, codes = (
        np.concatenate([getattr(one, name) for one in found]) for name in ("low", "high", "codes")
    )
    return MetricArray(
        np.concatenate([np.asarray(one) for one in found]), unit="ms", codes=codes, low=low, high=high
    )


def report(
    device: Device, space: Space, archs: list[Arch], first: FloatArray, second: FloatArray, change: float
) -> list[Row]:
    """Predictions and second times against the first times: presets, random networks, and all.

    Args:
        change: times of profiled networks when they were profiled over their times now.
    """
    presets = np.isin([arch.id for arch in archs], [arch.id for arch in space.presets.values()])
    groups = {"presets": presets, "random": ~presets, "all": np.ones(len(archs), dtype=bool)}
    guess, rows = predicted(device, space, archs), []
    for label, mask in groups.items():
        if not mask.any():
            continue
        at = np.flatnonzero(mask)
        scores, floor = score(first[at], guess[at]), Errors.of(first[at], second[at])
        bias = float(np.median(np.asarray(guess)[at] / first[at]))
        rows.append(
            {
                "device": device.name,
                "networks": label,
                "number": len(at),
                "within 10 %": scores.errors.within_10,
                "mean error": scores.errors.mean,
                "largest error": scores.errors.max,
                "spearman": scores.spearman,
                "in 90 % interval": scores.coverage,
                "timed again within 10 %": floor.within_10,
                "timed again mean error": floor.mean,
                "error over noise": scores.errors.mean / floor.mean,
                "median predicted over timed": bias,
                "profiled networks, then over now": change,
                "mean error without that change": Errors.of(first[at], np.asarray(guess)[at] / change).mean,
            }
        )
    return rows


def panel(device: Device, space: Space, archs: list[Arch], first: FloatArray, second: FloatArray) -> Panel:
    """Predicted over timed latency, with intervals, and timed again over timed."""
    guess = predicted(device, space, archs)
    ends = (float(first.min()) * 0.9, float(first.max()) * 1.1)
    ticks = [float(f"{value:.1g}") for value in np.geomspace(*ends, 4)[1:3]]
    drawn = Panel(
        device.name, "timed ms", "over timed", ends, (0.7, 1.3), (True, False), (ticks, (0.8, 1.0, 1.2))
    )
    drawn.band([(ends[0], 0.9, 1.1), (ends[1], 0.9, 1.1)], COLOURS[4])
    for x, low, high in zip(first, guess.low / first, guess.high / first):
        drawn.line([(x, low), (x, high)], "#aac")
    drawn.dots(list(zip(first, second / first)), COLOURS[1])
    drawn.dots(list(zip(first, np.asarray(guess) / first)), COLOURS[0], 1.8)
    return drawn


if __name__ == "__main__":
    run(main)
