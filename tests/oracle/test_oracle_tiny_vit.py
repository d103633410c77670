"""TinyViT's presets with timm's weights answer as timm's models do, in float64; so do networks with padded windows."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from comparing import CLOSE, apart, check_preset
from safetensors.torch import load_file
from timm_beside import Timm

import nas
from nas.supernet.network import build
from nas.weights.writing import write_timm

pytestmark = pytest.mark.oracle
MODELS = [
    ("5M", "tiny_vit_5m_224.dist_in22k_ft_in1k"),
    ("11M", "tiny_vit_11m_224.dist_in22k_ft_in1k"),
    ("21M", "tiny_vit_21m_224.dist_in22k_ft_in1k"),
    ("21M-384", "tiny_vit_21m_384"),
]
"""`21M-512` takes half a minute; its only difference from `21M-384` is the size of its windows."""


@pytest.mark.parametrize(("preset", "model"), MODELS)
def test_a_preset_with_timms_weights_answers_as_timms_model(
    preset: str, model: str, timm: Timm, tmp_path: Path
) -> None:
    check_preset("tiny_vit", preset, model, timm, tmp_path)


@pytest.mark.parametrize("scale", [1.0, 0.3])
def test_an_own_architecture_is_loaded_by_the_call_that_its_file_tells(
    scale: float, timm: Timm, tmp_path: Path
) -> None:
    """At three tenths of 224 px, S2 is a map of 9 pixels: four windows of 3 across, of which one is padding."""
    loaded = nas.load_space("tiny_vit")
    values = {
        "resolution": 224, "head_dim": 16, "S1.depth": 1, "S1.width": 48, "S1.expansion": 3,
        "S2.depth": 3, "S2.width": 96, "S2.across": 4, "S2.kernel": 5, "S2.mlp_ratio": 3,
        "S3.depth": 2, "S3.width": 160, "S3.across": 2, "S3.kernel": 5, "S3.mlp_ratio": 3,
        "S4.depth": 1, "S4.width": 224, "S4.kernel": 5, "S4.mlp_ratio": 3,
    }  # fmt: skip
    arch = loaded.encode([values])[0]
    network = build(loaded, arch, num_classes=7, seed=5, scale=scale)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    written = write_timm(network, loaded.name, arch.values, tmp_path / "own.safetensors")
    timm.load(written.file, tmp_path / "answer.safetensors")
    answer = load_file(tmp_path / "answer.safetensors")
    with torch.no_grad():
        assert apart(network.double().eval()(answer["input"]), answer["output"]) < CLOSE
