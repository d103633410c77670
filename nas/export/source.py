"""The network of a stored trial with the weights its study left for it, or those of its retraining."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

from nas.data.batches import MEAN, STD
from nas.errors import NasError
from nas.kept_weights import fill
from nas.metrics import Metric
from nas.pipeline.data import fingerprints
from nas.pipeline.load_data import LoadedData, augment_of, load_network_data, load_run_data
from nas.pipeline.plan import RunPlan, study_folder
from nas.pipeline.presets import NamedPreset, preset_plan, study_name
from nas.pipeline.retrained import RetrainFolder, again, folder_of
from nas.pipeline.study_plan import plan_of
from nas.pipeline.study_space import space_of
from nas.pipeline.training import load, set_threads
from nas.printable import code_span, markdown
from nas.settings import RunSettings, TrainSettings
from nas.space.batch import Arch
from nas.supernet.network import Network, build, to_resolution

if TYPE_CHECKING:
    from nas.store import StudyRow

Weights = Literal["inherited", "retrained"]
CALIBRATED = 64
"""Training images at once."""


class FromImages(nn.Module):
    """A network that takes images in 0..1, as they come from a file, and normalises them itself."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Class scores of images `(B, C, H, W)` in 0..1."""
        scores: Tensor = self.network((images - MEAN) / STD)
        return scores


@dataclass(frozen=True)
class Source:
    """A trial's network and the data it is judged by.

    Attributes:
        network: batch norms recalibrated as for the study's final numbers, at eval.
        told: where its weights come from, in Markdown.
        recipe: how they were trained; `teachers`: the networks they learnt from beside the labels.
        size: of its input, in pixels.
    """

    arch: Arch
    network: Network
    plan: RunPlan
    data: LoadedData
    told: str
    recipe: str
    teachers: tuple[str, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the input in pixels."""
        return self.network.input.h, self.network.input.w

    def training_images(self, limit: int) -> Tensor:
        """`limit` training images `(limit, C, h, w)` in 0..1, drawn by the arch's id."""
        seed = (int(self.arch.id, 16) + self.plan.settings.seed) % 2**63
        batches = self.data.calibration(seed, -(-limit // CALIBRATED), CALIBRATED)
        images = torch.cat([to_resolution(images, self.size) for images in batches])[:limit]
        return (images * STD + MEAN).clamp(0, 1)

    def test_images(self, limit: int = 0) -> tuple[Tensor, Tensor]:
        """Test images `(n, C, h, w)` in 0..1 and their labels `(n,)`; the first `limit` evenly spread."""
        batches = list(self.data.evaluation("test", self.plan.settings.evaluate.batch, limit))
        images = torch.cat([to_resolution(images, self.size) for images, _ in batches])
        return images * STD + MEAN, torch.cat([labels for _, labels in batches])


def source_of(
    study: StudyRow, values: dict[str, Any], space_file: str | None = None, weights: Weights = "inherited"
) -> Source:
    """The network of an architecture of a study.

    Args:
        values: the architecture's decisions.
        space_file: where the space lies, if it is not found by the name the study has of it.
        weights: of the supernet, or of `nas retrain`.

    Raises:
        NasError: the space has changed or is not found, the study has no such weights here, or its data cannot be
            loaded.
    """
    space, _ = space_of(study, space_file)
    arch = space.encode([values])[0]
    return _of_study(study, arch) if weights == "retrained" else _inherited(study, arch)


def _inherited(study: StudyRow, arch: Arch) -> Source:
    from nas.accuracy.inherited import recalibrate

    plan = plan_of(study, arch.space)
    settings, owner = plan.settings, plan.supernet or study.name
    set_threads(settings)
    data = load_run_data(plan)
    trained = load(plan, study_folder(owner), data)
    network = trained.supernet.extract(arch)
    evaluate = settings.evaluate
    seed = (int(arch.id, 16) + settings.seed) % 2**63
    with torch.no_grad():
        recalibrate(network, data.calibration(seed, evaluate.final_recalibrate, evaluate.batch))
    told = (
        f"inherited from the supernet of study {code_span(owner)} ({trained.card['steps']} steps, seed "
        f"{trained.card['seed']}), batch norms recalibrated; not retrained"
    )
    if "train" not in trained.card and owner != study.name:
        raise NasError(
            f"{study_folder(owner)}: its supernet's card does not say how it was trained, as a model's card must: "
            f"it is from an earlier version. Export from study {owner!r} itself, or retrain: --weights retrained."
        )
    train = TrainSettings.model_validate(trained.card.get("train", settings.train.model_dump()))
    drawn = f"{train.sampler.subnets} subnets a step by the sampler `{train.sampler.name}`"
    return Source(
        arch, network.eval(), plan, data, told, f"{drawn}; {_recipe(train, data)}", tuple(train.teachers)
    )


def source_of_preset(preset: NamedPreset) -> tuple[Source, Metric]:
    """The network of a preset that was retrained without a study, and its accuracy.

    Raises:
        NasError: it was not, or what it was trained on has changed.
    """
    what = f"{preset.source}:{preset.name}"
    retrained = RetrainFolder(folder_of(study_name(preset), preset.arch.id), what).read()
    plan = preset_plan(preset, RunSettings.model_validate(retrained.card["settings"]))
    return _retrained(plan, preset.arch), retrained.accuracy


def _of_study(study: StudyRow, arch: Arch) -> Source:
    card = RetrainFolder(folder_of(study.name, arch.id)).read().card
    return _retrained(plan_of(study, arch.space, RunSettings.model_validate(card["settings"])), arch)


def _retrained(plan: RunPlan, arch: Arch) -> Source:
    retrained = RetrainFolder(folder_of(plan.name, arch.id)).read()
    card = retrained.card
    set_threads(plan.settings)
    data = load_network_data(plan, arch)
    here = {"space_hash": arch.space.hash, "data": data.name, "classes": data.classes} | fingerprints(data)
    for key, now in here.items():
        if card.get(key, now) != now:  # cards of earlier versions lack some
            raise NasError(f"{retrained.weights}: trained with {key} {card[key]!r}, which is {now!r} now.")
    scale = plan.settings.train.resolution_scale
    network = build(arch.space, arch, num_classes=data.classes, seed=None, scale=scale)
    fill(network, retrained.tensors(), retrained.weights, again(retrained.weights.parent), assign=True)
    start = f"from the weights of study {code_span(card['supernet'])}" if card["supernet"] else "from scratch"
    if "init" in card:
        init = card["init"]
        start = f"from the weights of {code_span(init['weights'])} (SHA-256 {markdown(init['sha256'][:16])})"
    told = f"retrained {start} ({card['steps']} steps, seed {plan.settings.seed}), batch norms recalibrated"
    train = plan.settings.train
    return Source(arch, network.eval(), plan, data, told, _recipe(train, data), tuple(train.teachers))


def _recipe(train: TrainSettings, data: LoadedData) -> str:
    mirrors = augment_of(train, data.bundle, data.side, seed=0).recipe.mirror
    return (
        f"AdamW, batches of {train.batch}; learning rate {train.lr:g} to {train.min_lr:g} along a cosine (scaling with "
        f"the batch: {train.lr_scaling}), after a warm-up of {100 * train.warmup:.3g} % of the steps; weight decay "
        f"{train.weight_decay:g}; gradients clipped adaptively at {train.clip:g}; augmentation `{train.augment}`, "
        f"images {'' if mirrors else 'not '}mirrored; mixup and cutmix {train.mix:g}; label smoothing "
        f"{train.label_smoothing:g}; average of weights with decay {train.ema:g}; teachers: "
        f"{markdown(', '.join(train.teachers)) or 'none'}"
    )


def default_folder(study: str, arch_id: str, weights: Weights = "inherited") -> Path:
    """Where exports go: `nas-runs/STUDY/export/ARCH`, retrained ones `ARCH-retrained`."""
    return study_folder(study) / "export" / (arch_id + ("-retrained" if weights == "retrained" else ""))
