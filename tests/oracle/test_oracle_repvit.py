"""RepViT's presets with timm's weights answer as timm's models do, in float64; timm loads an own architecture."""

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
    ("repvit", "M0.9", "repvit_m0_9"),
    ("repvit", "M1.0", "repvit_m1_0"),
    ("repvit", "M1.1", "repvit_m1_1"),
    ("repvit", "M1.5", "repvit_m1_5"),
    ("repvit", "M2.3", "repvit_m2_3"),
    ("repvit_legacy", "M1", "repvit_m1"),
    ("repvit_legacy", "M2", "repvit_m2"),
    ("repvit_legacy", "M3", "repvit_m3"),
]


@pytest.mark.parametrize(("space", "preset", "model"), MODELS)
def test_a_preset_with_timms_weights_answers_as_timms_model(
    space: str, preset: str, model: str, timm: Timm, tmp_path: Path
) -> None:
    check_preset(space, preset, model, timm, tmp_path)


def own() -> dict[str, int | str]:
    values: dict[str, int | str] = {
        "resolution": 192,
        "gates": "alternate",
        "stem1.act": "gelu",
        "head.distilled": 1,
    }
    for stage, (depth, width, ratio) in enumerate([(4, 40, 1), (2, 112, 3), (8, 192, 2), (1, 320, 1)], 1):
        values |= {f"S{stage}.depth": depth, f"S{stage}.width": width, f"S{stage}.mlp_ratio": ratio}
        values |= {f"S{stage}.kernel": 5}
        values |= {f"S{stage}.downsample.block": "repvit_downsample"} if stage > 1 else {}
    return values


def test_an_own_architecture_is_loaded_by_the_call_that_its_file_tells(timm: Timm, tmp_path: Path) -> None:
    loaded = nas.load_space("repvit")
    arch = loaded.encode([own()])[0]
    network = build(loaded, arch, num_classes=7, seed=5)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    written = write_timm(network, loaded.name, arch.values, tmp_path / "own.safetensors")
    timm.load(written.file, tmp_path / "answer.safetensors")
    answer = load_file(tmp_path / "answer.safetensors")
    with torch.no_grad():
        assert apart(network.double().eval()(answer["input"]), answer["output"]) < CLOSE
