"""Accuracy of a preset's network with weights from elsewhere, as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nas.errors import NasError
from nas.pipeline.load_data import load_network_data
from nas.pipeline.presets import NamedPreset, plan_of_preset
from nas.pipeline.training import compute_device, set_threads
from nas.supernet.network import build
from nas.weights.initial import initial_of_network
from nas.weights.normalisation import as_theirs

if TYPE_CHECKING:
    from nas.accuracy.inherited import Evaluation
    from nas.pipeline.progress import Reporter
    from nas.weights.filling import Row
    from nas.weights.initial import Initial


@dataclass(frozen=True)
class EvaluatedWeights:
    """What a network with given weights answered.

    Attributes:
        rows: what became of every weight.
        images: which were classified, in words.
    """

    initial: Initial
    rows: list[Row]
    evaluation: Evaluation
    images: str


def evaluate_weights(
    preset: NamedPreset,
    init: str,
    reporter: Reporter,
    *,
    data: str | None = None,
    recipe: str = "embedded",
    assignments: Sequence[str] = (),
    limit: int = 0,
) -> EvaluatedWeights:
    """Classify test images by a preset's network with the weights of a file, nothing trained or recalibrated.

    Images are normalised as the weights' own are.

    Args:
        init: a path, or `timm:NAME`.
        data: its specification; None: the recipe's.
        limit: images at most; 0: all.

    Raises:
        NasError: no such weights or data, another network's weights, or as many classes as the data do not have.
    """
    import torch

    from nas.accuracy.inherited import classify

    plan = plan_of_preset(preset, recipe, assignments, data)
    set_threads(plan.settings)
    initial = initial_of_network(preset.space, preset.arch, init, preset.name)
    loaded = load_network_data(plan, preset.arch)
    if initial.classes != loaded.classes:
        raise NasError(
            f"{initial.name} tells {initial.classes or 'no'} classes apart, {loaded.name} has {loaded.classes}: its "
            "answers mean something else. `nas retrain` trains it with a classifier for these data."
        )
    loaded.check(reporter)
    scale, device = plan.settings.train.resolution_scale, compute_device()
    network = build(preset.space, preset.arch, num_classes=loaded.classes, seed=0, scale=scale)
    rows = initial.put_into(network, as_published=True)
    network.to(device).eval()
    batches = loaded.evaluation("test", plan.settings.evaluate.batch, limit)
    seen = ((as_theirs(x.to(device), initial.mean, initial.std), y.to(device)) for x, y in batches)
    with torch.no_grad():
        evaluation = classify(network, seen)
    return EvaluatedWeights(
        initial, rows, evaluation, f"{loaded.name} test split, {network.input.h} × {network.input.w} px"
    )
