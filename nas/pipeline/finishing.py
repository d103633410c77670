"""The last phase of a run: final numbers of front and presets, breakdowns, and what cannot be told apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from nas.latency.device import Device
from nas.metrics import Metric
from nas.pipeline.evaluating import Evaluator, interval_overlaps
from nas.pipeline.job import Interrupted
from nas.pipeline.plan import RunPlan
from nas.pipeline.progress import Interrupt, Reporter
from nas.search.beside_presets import beside
from nas.space.batch import Arch
from nas.space.space import Space
from nas.store import Preset, Storage, TrialRow

FINAL = "final"


def finish(
    plan: RunPlan,
    evaluator: Evaluator,
    storage: Storage,
    study_id: int,
    reporter: Reporter,
    interrupt: Interrupt,
) -> None:
    """Evaluate the front on the test split and the presets under the same weights; store both.

    Raises:
        Interrupted: stopped between two of them; the search is saved, these evaluations are made again.
    """
    front = storage.front(study_id)
    archs = {row.number: plan.space.encode([row.arch])[0] for row in front}
    presets = plan.space.presets if plan.space.blueprint is not None else {}
    finals: dict[int, dict[str, Metric]] = {}
    with reporter.task("final accuracies", len(front) + len(presets)) as task:
        for number, arch in archs.items():
            _check_stop(interrupt)
            accuracy = evaluator.final(arch)
            if accuracy is not None:
                finals[number] = {"accuracy": accuracy}
            task.advance()
        stored = []
        for name, arch in presets.items():
            _check_stop(interrupt)
            stored.append(_preset(plan, evaluator, name, arch))
            task.advance()
    storage.add_metrics(study_id, FINAL, finals)
    storage.set_presets(study_id, stored)
    facts: dict[str, Any] = {"marked": marked(plan, front, finals)}
    corner = storage.study(plan.name).reference_point
    members = [{**row.metrics, **finals.get(row.number, {})} for row in front]
    known = {preset.name: preset.metrics for preset in stored}
    compared = beside(plan.objectives, members, known, corner, plan.constraints) if corner else None
    if compared is not None:
        facts["beside_presets"] = asdict(compared)
        reporter.say(compared.words)
    if plan.metrics.devices:
        named = {arch.id: arch for arch in archs.values()} | presets
        facts["breakdown"] = {
            device.name: breakdown(device, plan.space, named) for device in plan.metrics.devices
        }
    storage.add_facts(study_id, facts)


def _check_stop(interrupt: Interrupt) -> None:
    if interrupt.asked:
        raise Interrupted("the search is saved, final accuracies are taken again")


def _preset(plan: RunPlan, evaluator: Evaluator, name: str, arch: Arch) -> Preset:
    metrics = plan.metrics.metrics(arch)[0]
    if plan.space.contains(arch):
        accuracy = evaluator.final(arch)
        if accuracy is not None:
            metrics["accuracy"] = accuracy
    return Preset(name, arch.id, arch.values, metrics)


def marked(plan: RunPlan, front: Sequence[TrialRow], finals: dict[int, dict[str, Metric]]) -> dict[str, int]:
    """Front trials whose accuracy cannot be told from a cheaper front trial's: number to that number.

    Cheaper: no worse in every objective but accuracy. Final accuracies where there are any.
    """
    others = [o for o in plan.objectives if o.metric != "accuracy"]
    if len(others) == len(plan.objectives) or not others:
        return {}
    found: dict[str, int] = {}
    for row in front:
        for other in front:
            if other.number == row.number or not _cheaper(other, row, others):
                continue
            a, b = (finals.get(r.number, r.metrics).get("accuracy") for r in (row, other))
            if a is not None and b is not None and interval_overlaps(a, b):
                found[str(row.number)] = other.number
                break
    return found


def _cheaper(other: TrialRow, row: TrialRow, objectives: Sequence[Any]) -> bool:
    pairs = [
        (other.metrics[o.metric].value, row.metrics[o.metric].value, o.direction)
        for o in objectives
        if o.metric in other.metrics and o.metric in row.metrics
    ]
    no_worse = all(a <= b if direction == "min" else a >= b for a, b, direction in pairs)
    return no_worse and any(a != b for a, b, _ in pairs)


def breakdown(device: Device, space: Space, archs: dict[str, Arch]) -> dict[str, dict[str, float]]:
    """Latency in ms by stage for each arch."""
    found: dict[str, dict[str, float]] = {}
    for name, arch in archs.items():
        stages: dict[str, float] = {}
        for slot in space.lower(arch):
            if not slot.active:
                continue
            sizes = {key: np.array([int(value)]) for key, value in slot.sizes.items()}
            stages[slot.stage] = stages.get(slot.stage, 0.0) + float(
                device.unit_times(slot.kind, sizes).ms[0]
            )
        found[name] = stages
    return found
