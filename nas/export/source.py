"""The network of a stored trial with the weights its study left for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from nas.data.batches import MEAN, STD
from nas.pipeline.load_data import LoadedData, load_run_data
from nas.pipeline.plan import RunPlan, make_plan, study_folder
from nas.pipeline.study_space import space_of
from nas.pipeline.training import load, set_threads
from nas.settings import RunSettings
from nas.space.batch import Arch
from nas.supernet.network import Network, to_resolution

if TYPE_CHECKING:
    from nas.store import StudyRow


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
        network: extracted, batch norms recalibrated as for the study's final numbers, at eval.
        card: of the supernet the weights come from.
        side: of its input, in pixels.
    """

    arch: Arch
    network: Network
    plan: RunPlan
    data: LoadedData
    card: dict[str, Any]

    @property
    def side(self) -> int:
        """Side of the input in pixels."""
        return self.network.resolution

    def test_images(self, limit: int = 0) -> tuple[Tensor, Tensor]:
        """Test images `(n, C, side, side)` in 0..1 and their labels `(n,)`; the first `limit` evenly spread."""
        batches = list(self.data.evaluation("test", self.plan.settings.evaluate.batch, limit))
        images = torch.cat([to_resolution(images, self.side) for images, _ in batches])
        return images * STD + MEAN, torch.cat([labels for _, labels in batches])


def source_of(study: StudyRow, values: dict[str, Any], space_file: str | None = None) -> Source:
    """The network of an architecture of a study, with inherited weights.

    Args:
        values: the architecture's decisions.
        space_file: where the space lies, if it is not found by the name the study has of it.

    Raises:
        NasError: the space has changed or is not found, the study has no trained supernet here, or its data cannot be
            loaded.
    """
    from nas.accuracy.inherited import recalibrate

    space, _ = space_of(study, space_file)
    settings = RunSettings.model_validate(study.config["settings"])
    owner = study.config.get("supernet") or study.name
    plan = make_plan(space, settings, supernet=owner, name=study.name)
    set_threads(settings)
    data = load_run_data(plan)
    trained = load(plan, study_folder(owner), data)
    arch = space.encode([values])[0]
    network = trained.supernet.extract(arch)
    evaluate = settings.evaluate
    seed = (int(arch.id, 16) + settings.seed) % 2**63
    with torch.no_grad():
        recalibrate(network, data.calibration(seed, evaluate.final_recalibrate, evaluate.batch))
    return Source(arch, network.eval(), plan, data, trained.card)


def default_folder(study: str, arch_id: str) -> Path:
    """Where exports go: `nas-runs/STUDY/export/ARCH`."""
    return study_folder(study) / "export" / arch_id
