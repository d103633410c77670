"""This machine as a device: the presets' units timed, then whole presets, a predictor fitted to the units alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from itertools import groupby
from pathlib import Path
from typing import TypeVar

from presets import Preset

from nas.errors import NasError
from nas.latency.device import Device, load_device
from nas.latency.fit import fit_predictor
from nas.latency.network_table import NetworkTable
from nas.latency.profiling.exports import Exports, Wanted, discard
from nas.latency.profiling.folder import PREDICTOR, DeviceFolder, Identity
from nas.latency.profiling.runtimes.base import runtime_of
from nas.latency.profiling.sentinel import timing_of
from nas.latency.profiling.targets.base import Burst, Target
from nas.latency.profiling.targets.local import local_target
from nas.latency.profiling.timing import NETWORK, SENTINEL, Sample, Timing
from nas.latency.signature import format_signature
from nas.latency.table import Key, LatencyTable
from nas.pipeline.progress import Reporter

Item = TypeVar("Item")

RUNTIME, THREADS, NAME = "onnxruntime", 1, "host"
UNITS_AT_ONCE, NETWORKS_AT_ONCE, BURSTS = 12, 3, 2


class Profiling:
    """Times presets of many spaces into one device folder, batch by batch.

    Attributes:
        failed: why some could not be timed, by unit or preset.
    """

    def __init__(self, folder: DeviceFolder, exports: Exports, reporter: Reporter) -> None:
        self._folder, self._exports, self._reporter = folder, exports, reporter
        self.failed: dict[str, str] = {}

    def new_units(self, presets: Sequence[Preset]) -> list[Key]:
        """Units of these presets that the folder does not have."""
        keys = {key: None for preset in presets for key in preset.units()}
        return [key for key in keys if key not in self._folder.table]

    def new_networks(self, presets: Sequence[Preset]) -> list[Preset]:
        """Those of these presets, different networks, that the folder does not have."""
        known = self._folder.networks
        return list({p.arch.id: p for p in presets if (p.space.name, p.arch.id) not in known}.values())

    def time_units(self, timing: Timing, presets: Sequence[Preset]) -> None:
        """Time the units of presets of one space that the folder does not have."""
        by_name = {format_signature(*key): key for key in self.new_units(presets)}
        with self._reporter.task(f"{presets[0].space.name}: units", len(by_name)) as task:
            for names in _batches(list(by_name), UNITS_AT_ONCE):
                samples = self._timed(timing, [Wanted.unit(name) for name in names], None)
                new = {by_name[name]: sample.entry(self._folder.source) for name, sample in samples.items()}
                self._folder.save(self._folder.table.merge(LatencyTable(new)), self._folder.networks)
                for _ in names:
                    task.advance()

    def time_networks(self, timing: Timing, presets: Sequence[Preset]) -> None:
        """Time whole presets of one space that the folder does not have."""
        left = self.new_networks(presets)
        with self._reporter.task(f"{presets[0].space.name}: networks", len(left)) as task:
            for some in _batches(left, NETWORKS_AT_ONCE):
                wanted = {_wanted(preset).name: preset for preset in some}
                samples = self._timed(timing, [_wanted(preset) for preset in some], NETWORK)
                new = NetworkTable(
                    (wanted[name].space.name, wanted[name].arch.values, sample.entry(self._folder.source))
                    for name, sample in samples.items()
                )
                self._folder.save(self._folder.table, self._folder.networks.merge(new))
                for _ in some:
                    task.advance()

    def _timed(self, timing: Timing, wanted: Sequence[Wanted], burst: Burst | None) -> dict[str, Sample]:
        exported, failures = self._exports.get(wanted)
        try:
            samples, refused = timing.batch(exported, burst)
        finally:
            for model in exported:
                discard(model)
        for name, why in {**failures, **refused}.items():
            self.failed[name] = why
            self._reporter.warn(f"not timed: `{name}`: {why}")
        return samples


def profiled(path: Path, presets: Iterable[Preset], reporter: Reporter) -> Device:
    """This machine as a device in a folder, gone on with if it is there; presets that are too big are left out.

    Raises:
        NasError: another machine's times lie there, or this one is too busy to time anything.
    """
    timed = sorted((one for one in presets if not one.too_big), key=lambda one: (one.space.name, one.macs))
    groups = [list(group) for _, group in groupby(timed, key=lambda one: one.space.name)]
    runtime = runtime_of(RUNTIME)
    runtime.version()
    with Exports(runtime) as exports, local_target(RUNTIME, THREADS) as target:
        facts = target.facts()
        identity = Identity(facts.hardware, RUNTIME, facts.version, THREADS)
        folder = DeviceFolder(path, NAME, identity, date.today().isoformat(), notes=facts.notes)
        work = Profiling(folder, exports, reporter)
        for new, step in ((work.new_units, work.time_units), (work.new_networks, work.time_networks)):
            for presets_of_one in groups:
                if new(presets_of_one):
                    step(_timing(target, exports, presets_of_one[0], folder, reporter), presets_of_one)
    return _fitted(folder, reporter)


def _timing(
    target: Target, exports: Exports, preset: Preset, folder: DeviceFolder, reporter: Reporter
) -> Timing:
    """Timing with what networks of the preset's space leave in the caches, against the folder's first sentinel."""
    timing = timing_of(
        target, exports, preset.space, baseline=folder.baseline, bursts=BURSTS, warn=reporter.warn
    )
    if folder.baseline is None:
        folder.start(timing.drift.baseline, SENTINEL)
    folder.remember(preset.space.name, preset.space.name)
    return timing


def _fitted(folder: DeviceFolder, reporter: Reporter) -> Device:
    """The device with a predictor fitted to its units alone; fitted before, if the units are the same."""
    if not len(folder.table):
        raise NasError("nothing could be timed on this machine.")
    data, known = folder.data(), folder.path / PREDICTOR / "report.json"
    if not known.exists() or load_device(folder.path).predictor.report.data != data:  # type: ignore[union-attr]
        reporter.say(f"fitting a predictor to {len(folder.table):,} units")
        folder.keep(fit_predictor(folder.table, name=folder.name, data=data))
    return load_device(folder.path)


def _wanted(preset: Preset) -> Wanted:
    return Wanted.network(preset.space.name, preset.space.name, preset.arch.id, preset.arch.values)


def _batches(items: Sequence[Item], size: int) -> list[Sequence[Item]]:
    return [items[start : start + size] for start in range(0, len(items), size)]
