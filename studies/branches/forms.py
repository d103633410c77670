"""The trained and the deployed form of a network: whether they say the same, and how long each takes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from seeds import Run
from timing import Exported, Times, interleaved
from torch import Tensor

from nas.latency.profiling.runtimes.onnxruntime_runtime import OnnxRuntime
from nas.pipeline.presets import find_preset
from nas.supernet.deploy import deployed
from nas.supernet.network import Network, build

BATCH = 150
PAPERS = "repvit:M0.9"


@dataclass(frozen=True)
class Sameness:
    """How far the deployed form is from the trained one, on all test images.

    Attributes:
        error: largest difference of a score over the largest score.
        changed: images that are classified otherwise.
    """

    error: float
    changed: int


def sameness(one: Run) -> Sameness:
    """Of a trained network and its deployed form."""
    trained = one.network()
    folded = deployed(trained)
    error, largest, changed = 0.0, 0.0, 0
    with torch.no_grad():
        for images, _ in one.data.evaluation("test", BATCH, 0):
            first, second = trained(images), folded(images)
            error = max(error, float((first - second).abs().max()))
            largest = max(largest, float(first.abs().max()))
            changed += int((first.argmax(1) != second.argmax(1)).sum())
    return Sameness(error / largest, changed)


def timed_forms(branches: Run, plain: Run, rounds: int) -> dict[str, Times]:
    """Both forms of the network with branches, the plain one deployed, and both forms of RepViT-M0.9, by turns."""
    preset = find_preset(PAPERS)
    published = build(preset.space, preset.arch, seed=0).eval()
    small = branches.network()
    models = {
        "branches, trained form": exported(small),
        "branches, deployed": exported(deployed(small)),
        "plain, deployed": exported(deployed(plain.network())),
        "RepViT-M0.9 at 224 px, trained form": exported(published),
        "RepViT-M0.9 at 224 px, deployed": exported(deployed(published)),
    }
    return interleaved(models, rounds)


def exported(network: Network) -> Exported:
    """A network as it is, for one image."""
    side = network.resolution
    example: Tensor = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    return Exported(OnnxRuntime.export(network, example), tuple(example.shape))
