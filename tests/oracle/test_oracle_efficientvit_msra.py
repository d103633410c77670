"""Microsoft's EfficientViT with timm's weights answers as timm's own models do, in float64."""

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


@pytest.mark.parametrize("preset", ["M0", "M1", "M2", "M3", "M4", "M5"])
def test_a_preset_with_timms_weights_answers_as_timms_model(preset: str, timm: Timm, tmp_path: Path) -> None:
    check_preset("efficientvit_msra", preset, f"efficientvit_{preset.lower()}", timm, tmp_path)


def test_windows_as_large_as_the_map_are_loaded_by_the_call_that_the_file_tells(
    timm: Timm, tmp_path: Path
) -> None:
    loaded = nas.load_space("efficientvit_msra")
    arch = loaded.encode([{**loaded.presets["M2"].values, "S1.window": 14, "S2.depth": 1}])[0]
    network = build(loaded, arch, num_classes=7, seed=5)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    written = write_timm(network, loaded.name, arch.values, tmp_path / "own.safetensors")
    timm.load(written.file, tmp_path / "answer.safetensors")
    answer = load_file(tmp_path / "answer.safetensors")
    with torch.no_grad():
        assert apart(network.double().eval()(answer["input"]), answer["output"]) < CLOSE
