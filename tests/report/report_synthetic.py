"""Small studies that look like real ones, stored through the storage's own interface.

Accuracies follow a made-up law of the width and depth of each architecture; nothing is trained.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from nas.metrics import Metric
from nas.store import Objective, Preset, SeriesPoint, Storage, StudyRow, TrialRecord

DECISIONS: dict[str, tuple[int, ...]] = {
    "resolution": (128, 160, 176, 192, 224, 256),
    "first.width": (16, 24),
    "stem.depth": (1, 2),
    "stem.kernel": (3, 5),
    **{
        f"{stage}.{name}": values
        for stage, depths, widths in (
            ("C1", (2, 3, 4, 5), (16, 24, 32)),
            ("C2", (2, 3, 4, 5, 6), (16, 24, 32, 40, 48)),
        )
        for name, values in (
            ("depth", depths),
            ("width", widths),
            ("kernel", (3, 5)),
            ("expansion", (3, 4, 5, 6)),
        )
    },
    **{
        f"{stage}.{name}": values
        for stage, low, high in (("T1", 48, 96), ("T2", 80, 160), ("T3", 144, 288), ("T4", 160, 320))
        for name, values in (
            ("depth", (1, 2, 3, 4, 5)),
            ("width", tuple(range(low, high + 1, 16))),
            ("mlp_ratio", (2, 3, 4, 5)),
            ("v_scale", (2, 3, 4)),
        )
    },
}
STAGES = ("stem", "C1", "C2", "T1", "T2", "T3", "T4", "head")
LEVELS = (100e6, 200e6, 300e6, 400e6, 500e6, 700e6, 900e6, 1200e6)
SEARCH, TEST = "digits search split, inherited weights", "digits test split, inherited weights"
IMAGES = 270


@dataclass
class Recipe:
    """What a study is to contain."""

    name: str = "elasticvit-pixel6"
    devices: tuple[str, ...] = ("pixel6",)
    objectives: tuple[Objective, ...] = ()
    trials: int = 200
    training: bool = True
    final: bool = True
    state: str = "finished"
    limit_ms: float | None = 40.0
    facts: dict[str, Any] = field(default_factory=dict)


def make_study(storage: Storage, recipe: Recipe, seed: int = 0) -> StudyRow:
    """Store a study with trials, front, presets, series and facts."""
    rng = np.random.default_rng(seed)
    objectives = recipe.objectives or (
        Objective("accuracy", "max", "fraction"),
        *(Objective(latency_name(device, recipe.devices), "min", "ms") for device in recipe.devices),
    )
    limit = recipe.limit_ms
    first = latency_name(recipe.devices[0], recipe.devices) if recipe.devices else "latency"
    constraints = (
        [{"metric": first, "bound": limit, "upper": True, "text": f"{first}<={limit}ms"}] if limit else []
    )
    study = storage.create_study(
        recipe.name,
        space="elasticvit",
        space_hash="5f3c9a0b1d2e4f67",
        objectives=objectives,
        config={
            "settings": {
                "recipe": "embedded",
                "search": {"strategy": "predictor", "n_trials": recipe.trials},
            },
            "devices": list(recipe.devices),
        },
        constraints=constraints,
    )
    corner = {"accuracy": 0.0, "latency": 60.0, "macs": 2e9, "params": 3e7}
    storage.set_reference_point(
        study.id, {one.name: corner[one.name.partition("@")[0]] for one in objectives}
    )
    _add_trials(storage, study.id, recipe, rng)
    if recipe.training:
        storage.add_series(study.id, [*train_points(rng), *conflict_points(rng)])
    if recipe.final:
        _finish(storage, study.id, recipe, rng)
    storage.add_facts(study.id, {**run_facts(storage, study.id, recipe, seed), **recipe.facts})
    if recipe.state != "running":
        storage.set_state(study.id, recipe.state)  # type: ignore[arg-type]
    return storage.study(recipe.name)


def latency_name(device: str, devices: Sequence[str]) -> str:
    """`latency`, or `latency@DEVICE` where there are several."""
    return "latency" if len(devices) == 1 else f"latency@{device}"


def sample(rng: np.random.Generator, bias: float) -> dict[str, int]:
    """One architecture, larger for a larger bias in 0..1."""
    return {name: _pick(rng, values, bias) for name, values in DECISIONS.items()}


def _pick(rng: np.random.Generator, values: tuple[int, ...], bias: float) -> int:
    place = np.clip(rng.normal(bias, 0.28), 0, 0.999)
    return values[int(place * len(values))]


def arch_id(arch: Mapping[str, Any]) -> str:
    """16 hexadecimal digits."""
    return hashlib.blake2b(repr(sorted(arch.items())).encode(), digest_size=8).hexdigest()


def macs_of(arch: Mapping[str, int]) -> int:
    """Something that grows with resolution, depth and width."""
    scale = (arch["resolution"] / 128) ** 2
    body = sum(
        arch[f"{stage}.depth"] * arch[f"{stage}.width"] ** 1.25 * arch.get(f"{stage}.mlp_ratio", 4)
        for stage in STAGES[1:-1]
    )
    return int(9_000 * scale * body)


def stage_times(arch: Mapping[str, int], speed: float = 1.0) -> dict[str, float]:
    """Latency by stage, ms."""
    scale = (arch["resolution"] / 128) ** 1.6 / speed
    times = {"stem": 0.5 * scale * arch["stem.depth"], "head": 0.9 / speed}
    for stage in STAGES[1:-1]:
        ratio = arch.get(f"{stage}.mlp_ratio", arch.get(f"{stage}.expansion", 3))
        times[stage] = 0.0014 * scale * arch[f"{stage}.depth"] * arch[f"{stage}.width"] * (0.6 + 0.15 * ratio)
    return {stage: times[stage] for stage in STAGES}


def true_accuracy(arch: Mapping[str, int]) -> float:
    """Saturates with MACs; some architectures of equal MACs are better."""
    strength = np.log10(macs_of(arch) / 3e7)
    shape = 0.02 * (arch["T3.depth"] - 3) / 2 - 0.015 * (arch["C1.kernel"] == 5)
    return float(np.clip(0.97 - 0.22 * np.exp(-1.7 * strength) + shape, 0.05, 0.99))


def wilson(share: float, n: int = IMAGES) -> tuple[float, float]:
    """95 % interval of a share of n images."""
    z = 1.96
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return float(centre - half), float(centre + half)


def accuracy(rng: np.random.Generator, arch: Mapping[str, int], detail: str) -> Metric:
    """A measured accuracy on so many images."""
    share = rng.binomial(IMAGES, true_accuracy(arch)) / IMAGES
    return Metric(share, "fraction", "measured", *wilson(share), detail)


def costs(arch: Mapping[str, int], devices: Sequence[str]) -> dict[str, Metric]:
    """Latency on each device, MACs, parameters and memory."""
    found = {}
    for index, device in enumerate(devices):
        time = sum(stage_times(arch, 1.0 - 0.35 * index).values())
        found[latency_name(device, devices)] = Metric(
            time, "ms", "predicted", 0.95 * time, 1.05 * time, device
        )
    macs = macs_of(arch)
    found["macs"] = Metric(macs, "MACs", "counted")
    found["params"] = Metric(int(macs / 60), "params", "counted")
    found["memory"] = Metric(macs // 90, "bytes", "counted")
    return found


def _add_trials(storage: Storage, study_id: int, recipe: Recipe, rng: np.random.Generator) -> None:
    batch = 20
    first = latency_name(recipe.devices[0], recipe.devices) if recipe.devices else ""
    for generation in range(-(-recipe.trials // batch)):
        n = min(batch, recipe.trials - generation * batch)
        records = []
        for _ in range(n):
            arch = sample(rng, rng.uniform(0.0, 0.75))
            metrics = {"accuracy": accuracy(rng, arch, SEARCH), **costs(arch, recipe.devices)}
            excess = (
                max(0.0, metrics[first].value / recipe.limit_ms - 1) if recipe.limit_ms and first else 0.0
            )
            state = "infeasible" if excess else "complete"
            records.append(TrialRecord(arch_id(arch), arch, generation, state, metrics, 0.4, excess))
        numbers = storage.add_trials(study_id, records)
        if recipe.devices and recipe.training and generation:
            storage.add_series(study_id, list(predictor_points(rng, numbers, records)))
        storage.record_front(study_id, generation, wall_s=75.0 + 9.0 * (generation + 1))


def predictor_points(
    rng: np.random.Generator, numbers: Sequence[int], records: Sequence[TrialRecord]
) -> list[SeriesPoint]:
    """What a predictor said before the evaluations."""
    return [
        SeriesPoint(
            "predictor",
            int(number),
            {
                "predicted": true_accuracy(record.arch) + rng.normal(0, 0.008),
                "evaluated": record.metrics["accuracy"].value,
            },
        )
        for number, record in zip(numbers, records)
    ]


def train_points(rng: np.random.Generator, steps: int = 160) -> list[SeriesPoint]:
    """A training that walks over the levels."""
    points, level = [], 0
    for step in range(steps):
        level = int(np.clip(level + rng.choice((-1, 1)), 0, len(LEVELS) - 1))
        base = 0.25 + 2.1 * np.exp(-step / 45) - 0.012 * level
        losses = (base + rng.normal(0, 0.07, 4)).tolist()
        losses[3] += 0.2
        data = {
            "loss": float(np.mean(losses)),
            "lr": 2e-3 * min(1.0, (step + 1) / 10) * (0.5 + 0.5 * np.cos(np.pi * step / steps)),
            "level": LEVELS[level],
            "losses": losses,
            "macs": [LEVELS[level] + 1e6 * index for index in range(3)] + [6e7],
            "roles": ["explored", "exploited", "explored", "minimum"],
            "skipped": step == 77,
            "wall_s": 0.45 * (step + 1),
        }
        points.append(SeriesPoint("train", step, data))
    return points


def conflict_points(rng: np.random.Generator, n: int = 64) -> list[SeriesPoint]:
    """Cosines that fall with the difference in MACs."""
    points = []
    for index in range(n):
        a, b = rng.choice(LEVELS, 2) + rng.uniform(0, 2e7, 2)
        cosine = np.clip(0.55 - abs(a - b) / 1.6e9 + rng.normal(0, 0.13) - 0.002 * index, -1, 1)
        points.append(
            SeriesPoint(
                "conflict", 5 * index, {"cosine": float(cosine), "macs_a": float(a), "macs_b": float(b)}
            )
        )
    return points


def preset_archs(rng: np.random.Generator) -> dict[str, dict[str, int]]:
    """Nine named architectures of growing size."""
    names = ("T1", "T2", "S1", "S2", "M", "L1", "L1.5", "L2", "L3")
    return {name: sample(rng, 0.08 + 0.055 * index) for index, name in enumerate(names)}


def _finish(storage: Storage, study_id: int, recipe: Recipe, rng: np.random.Generator) -> None:
    front = storage.front(study_id)
    if front:
        storage.add_metrics(
            study_id,
            "final",
            {trial.number: {"accuracy": accuracy(rng, trial.arch, TEST)} for trial in front},
        )
    presets = [
        Preset(
            name, arch_id(arch), arch, {"accuracy": accuracy(rng, arch, TEST), **costs(arch, recipe.devices)}
        )
        for name, arch in preset_archs(rng).items()
    ]
    storage.set_presets(study_id, presets)


def run_facts(storage: Storage, study_id: int, recipe: Recipe, seed: int) -> dict[str, Any]:
    """What a run notes about itself."""
    front = storage.front(study_id)
    facts: dict[str, Any] = {
        "seed": seed,
        "threads": 2,
        "form": "deploy",
        "versions": {"nas": "0.1.0", "torch": "2.13.0", "numpy": "2.3.0"},
        "git": None,
        "command": f"nas run elasticvit --study-name {recipe.name}",
        "wall_s": {"train": 72.3, "search": 96.0, "final": 14.2},
        "data": {"name": "digits", "train": 1166, "search": IMAGES, "test": IMAGES},
        "space_distribution": {
            name: {str(value): 1 / len(values) for value in values} for name, values in DECISIONS.items()
        },
    }
    if recipe.devices:
        facts["devices"] = [
            f"{device}: predicted by XGBoost, 98.8 % of blocks within ±10 %, mean error 3.1 %"
            for device in recipe.devices
        ]
        rng = np.random.default_rng(seed)
        archs = {trial.arch_id: trial.arch for trial in front} | preset_archs(rng)
        facts["breakdown"] = {
            device: {key: stage_times(arch, 1.0 - 0.35 * index) for key, arch in archs.items()}
            for index, device in enumerate(recipe.devices)
        }
    if recipe.training:
        facts["sampler"] = {"exploited": 0.41, "preferred": 0.18, "rescored": 36.0, "bank.100M": 8.0}
        facts["deviations"] = [
            ["train.steps", "600 epochs", 160, "a few hundred steps instead of 600 epochs"],
            ["train.ema", 0.99985, 0.99, "an average over 6,700 steps would be the initial weights"],
            [
                "train.resolution_scale",
                1.0,
                0.125,
                "training images are a fraction of the deployment resolution",
            ],
        ]
        facts["predictor"] = {"kendall": 0.64, "n": 60, "trusted": True}
    facts["marked"] = _marked(front)
    return facts


def _marked(front: Sequence[Any]) -> dict[str, int]:
    """Front members whose accuracy interval overlaps a cheaper one's value."""
    if not front or "latency" not in front[0].metrics:
        return {}
    ordered = sorted(front, key=lambda trial: trial.metrics["latency"].value)
    marked = {}
    for before, trial in pairwise(ordered):
        low = trial.metrics["accuracy"].low
        if low is not None and trial.number % 3 == 0 and before.metrics["accuracy"].value > low:
            marked[str(trial.number)] = before.number
    return marked


def open_storage(folder: Path) -> Storage:
    """A new storage in a folder."""
    return Storage(f"sqlite:///{folder}/nas.db")
