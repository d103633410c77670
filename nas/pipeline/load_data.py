"""The data of a run, from its settings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from nas.data.augment import Augment, make_augment
from nas.data.balance import uneven_splits
from nas.data.batches import TrainingBatches, calibration_batches, evaluation_batches
from nas.data.bundle import SPLITS, DataBundle
from nas.data.images import DecodedImages, Images
from nas.data.load import load_data
from nas.data.pictures import with_channels
from nas.errors import NasError
from nas.pipeline.plan import RunPlan
from nas.pipeline.progress import Reporter, Silent
from nas.settings import TrainSettings
from nas.space.batch import Arch

IMAGE_SIDE = 224


@dataclass(frozen=True)
class LoadedData:
    """A data set at one image side and number of channels, with its augmentation; a `RunData`."""

    bundle: DataBundle
    side: int
    seed: int
    augment: Augment
    channels: int = 3

    @property
    def name(self) -> str:
        """The data set's name."""
        return self.bundle.name

    @property
    def content(self) -> str:
        """Fingerprint of names and lengths of the images' files; empty where there are none."""
        return self.bundle.content

    @property
    def digest(self) -> str:
        """Fingerprint of what is in the images' files; empty where there are none."""
        return self.bundle.digest

    @property
    def classes(self) -> int:
        """Number of classes."""
        return self.bundle.classes

    def training(self, batch: int) -> TrainingBatches:
        """Augmented batches as a function of the step."""
        return TrainingBatches(self.bundle, batch, self.side, self.seed, self.augment, channels=self.channels)

    def calibration(self, seed: int, batches: int, batch: int) -> Iterator[Tensor]:
        """Training images for batch norms."""
        return calibration_batches(self.bundle, seed, batches, batch, self.side, self.augment, self.channels)

    def evaluation(self, split: str, batch: int, limit: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Images of a split, the same at every call."""
        return evaluation_batches(self.bundle.split(split), batch, self.side, limit, self.channels)

    def check(self, reporter: Reporter) -> None:
        """Look at every image that is in a file, so that a damaged one does not end a training or an evaluation.

        Raises:
            NasError: those that cannot be read.
        """
        files = self.bundle.files
        if files is None:
            return
        with (reporter if files.many else Silent()).task("looking at the images", len(files)) as task:
            for _ in files.check():
                task.advance()

    def uneven(self) -> list[str]:
        """One line on classes that are so uneven that a constant answer scores much above chance, if they are."""
        held = {split: self.bundle.split(split).labels for split in ("search", "test")}
        return uneven_splits(held, self.bundle.class_names)

    def count(self, split: str) -> int:
        """Images in a split."""
        return len(self.bundle.split(split).labels)


def load_run_data(plan: RunPlan) -> LoadedData:
    """Data at the largest training resolution (folders: at most 224 times the scale, as published).

    Raises:
        NasError: the data cannot be loaded, or a split is empty.
    """
    settings = plan.settings
    side = _largest_side(plan)
    spec = settings.data.spec
    if spec.startswith(("imagefolder", "hf")):
        side = min(side, round(IMAGE_SIDE * settings.train.resolution_scale))
    bundle = load_data(spec, side=side, search_share=settings.data.search_share, seed=settings.seed)
    for name in SPLITS:
        if not len(bundle.split(name).labels):
            raise NasError(f"data {bundle.name}: the {name} split is empty.")
    channels = plan.space.blueprint.channels if plan.space.blueprint else 3
    with_channels(_first(bundle.train, side), channels)
    augment = augment_of(settings.train, bundle, side, settings.seed)
    return LoadedData(bundle, side, settings.seed, augment, channels)


def _first(images: Images, side: int) -> Tensor:
    """An image of a split, blank where it would have to be decoded: those of files have three channels."""
    if isinstance(images, DecodedImages):
        return torch.zeros(1, 3, 1, 1)
    return images.get([0], side)


def augment_of(train: TrainSettings, bundle: DataBundle, side: int, seed: int) -> Augment:
    """What a training does to images of `side` pixels: mirrors them, too, where its settings or the data allow it."""
    mirrored = bundle.mirrored if train.mirror == "auto" else train.mirror
    return make_augment(train.augment, side, mirrored=mirrored, seed=seed)


def load_network_data(plan: RunPlan, arch: Arch) -> LoadedData:
    """Data at the resolution of one architecture, so that its images are resized once: from the file.

    Raises:
        NasError: the data cannot be loaded, or a split is empty.
    """
    from nas.supernet.network import layers_of

    layers = layers_of(plan.space.lower(arch, scale=plan.settings.train.resolution_scale))
    first = layers[0].inputs[0]
    return replace(load_run_data(plan), side=max(first.h, first.w))


def _largest_side(plan: RunPlan) -> int:
    """Largest side in pixels that any architecture of the space trains at."""
    from nas.supernet.supernet import possible_sizes

    sizes = possible_sizes(plan.space, None, plan.settings.train.resolution_scale)
    first = next(iter(sizes.values()))[1]
    return int(max(first["h"].max(), first["w"].max()))
