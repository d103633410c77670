"""What slimming is compared with, under the same weights: uniform scaling, random cuts, other studies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nas.latency.device import Device
from nas.latency.network_table import NetworkTable
from nas.latency.profiling.known_device import network_timing
from nas.latency.table import Entry
from nas.metrics import Metric
from nas.pipeline.evaluating import supernet_evaluator
from nas.pipeline.load_data import load_run_data
from nas.pipeline.plan import make_plan, study_folder
from nas.pipeline.progress import ConsoleReporter
from nas.pipeline.supernet_card import trained_on
from nas.pipeline.training import load, set_threads
from nas.search.strategies.actions import ImportantActions
from nas.settings import make_settings
from nas.space.batch import Arch, ArchBatch
from nas.space.choices import choices_of, heaviest
from nas.space.load import load_space
from nas.store import TrialRow
from nas.study import Study

SPACE = "efficientformer"
TURNS = 3
SEED = 11


@dataclass(frozen=True)
class Point:
    """One network: predicted latency in ms, values on search images, and on test images where it is an end point."""

    arch: Arch
    latency: float
    loss: float
    accuracy: float
    macs: float
    params: float
    test: float = float("nan")
    low: float = float("nan")
    high: float = float("nan")


def _point(arch: Arch, metrics: Mapping[str, Metric]) -> Point:
    return Point(arch, *(metrics[name].value for name in ("latency", "loss", "accuracy", "macs", "params")))


class Rivals:
    """Networks of other methods, evaluated as the study's own: the same weights, images and recalibration.

    Args:
        supernet: study with the trained weights.
        device: predicts latency.
        settings: as of `--set`.
        target: latency in ms that is to be reached.
    """

    def __init__(self, supernet: str, device: Device, settings: Sequence[str], target: float) -> None:
        self.space, self.device, self.target = load_space(SPACE), device, target
        spec = trained_on(study_folder(supernet))
        chosen = make_settings("embedded", [self.space.recipes["embedded"]], [f"data.spec={spec}", *settings])
        self.plan = make_plan(self.space, chosen, devices=[device], supernet=supernet, name="rivals")
        set_threads(chosen)
        data = load_run_data(self.plan)
        trained = load(self.plan, study_folder(supernet), data)
        self.evaluator, self.importance = supernet_evaluator(self.plan, trained, data), trained.importance
        self.step = int(chosen.search.options["step"])
        self._known: dict[str, Point] = {}

    def point(self, arch: Arch) -> Point:
        """Evaluate a network on search images."""
        if arch.id not in self._known:
            found = self.evaluator.evaluate(arch)
            cheap = self.plan.metrics.metrics(self.space.encode([arch]))[0]
            self._known[arch.id] = _point(arch, {**cheap, **found})
        return self._known[arch.id]

    def along(self, arch_ids: Sequence[str], study: Study) -> list[Point]:
        """The networks of a walk that a study stored."""
        rows = {row.arch_id: row for row in study.storage.trials(study.row.id)}
        return [self._stored(rows[arch_id]) for arch_id in arch_ids]

    def found(self, study: Study) -> list[Point]:
        """The front of a study that meets the target."""
        return [self._stored(row) for row in study.storage.front(study.row.id)]

    def _stored(self, row: TrialRow) -> Point:
        return _point(self.space.encode([row.arch])[0], row.metrics)

    def scaled(self, count: int) -> list[Point]:
        """The largest network with every stage's depth and width scaled alike, down past the target."""
        shares = np.linspace(1.0, 0.0, 200)
        batch = ArchBatch(self.space, np.concatenate([self._scaled(share) for share in shares])).unique()
        latency = np.asarray(self.device.latency(self.space, batch))
        last = int(np.flatnonzero(latency <= self.target)[0])
        chosen = sorted({0, last, *np.linspace(0, last, count).round().astype(int).tolist()})
        return [self.point(batch[index]) for index in chosen]

    def _scaled(self, share: float) -> np.ndarray:
        start = heaviest(self.space)
        codes = start.codes.copy()
        for index, decision in enumerate(self.space.decisions):
            if decision.kind == "ordinal":
                codes[:, index] = round(share * (len(decision) - 1))
        for choices in choices_of(self.space).values():
            depth = max(round(share * len(choices)), 1)
            for choice in choices[depth:]:
                codes[:, self.space.index[choice.decision]] = choice.values.index("identity")
        return self.space.repair(ArchBatch(self.space, codes)).codes

    def random(self, walks: int, trials: int) -> list[Point]:
        """Walks that take one of the paper's three actions at random, as many points as slimming evaluated in all."""
        actions = ImportantActions(self.space, self.importance, self.step)
        found: dict[str, Point] = {}
        for walk in range(walks):
            path = self._walk(actions, np.random.default_rng([SEED, walk]))
            kept = np.linspace(0, len(path) - 1, min(len(path), max(trials // walks, 2))).round().astype(int)
            for index in kept:
                point = self.point(path[index][0])
                found[point.arch.id] = point
        return list(found.values())

    def _walk(self, actions: ImportantActions, rng: np.random.Generator) -> list[ArchBatch]:
        path = [heaviest(self.space)]
        while float(np.asarray(self.device.latency(self.space, path[-1]))[0]) > self.target:
            possible = actions(path[-1])
            path.append(possible[np.array([rng.integers(len(possible))])])
        return path

    def end(self, points: Sequence[Point]) -> Point:
        """The point with the least cross-entropy that meets the target, with its numbers on test images."""
        best = min((p for p in points if p.latency <= self.target), key=lambda p: p.loss)
        final = self.evaluator.final(best.arch)
        cheap = {name: getattr(best, name) for name in ("latency", "loss", "accuracy", "macs", "params")}
        low, high = float(final.low or np.nan), float(final.high or np.nan)
        return Point(best.arch, **cheap, test=final.value, low=low, high=high)

    def measured(self, ends: dict[str, Point], file: Path) -> dict[str, float]:
        """Milliseconds of the end points in the device's runtime, by arch id, kept in `file`."""
        table = NetworkTable.read(file) if file.exists() else NetworkTable()
        archs = {point.arch.id: point.arch for point in ends.values()}
        left = [arch for arch in archs.values() if (SPACE, arch.id) not in table]
        if left:
            with network_timing(self.device, self.space, SPACE, ConsoleReporter()) as timing:
                found = dict[str, list[Entry]]()
                for _, timed in timing.turns(left, TURNS):
                    for arch_id, entry in timed.items():
                        found.setdefault(arch_id, []).append(entry)
            middle = [sorted(found[a.id], key=lambda entry: entry.median_ms)[TURNS // 2] for a in left]
            table = table.merge(NetworkTable([(SPACE, a.values, entry) for a, entry in zip(left, middle)]))
            table.write(file)
        return {arch_id: table[SPACE, arch_id].median_ms for arch_id in archs}
