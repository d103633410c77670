"""EfficientNetV2 with timm's weights answers as timm's models do, in float64, with either padding."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from comparing import CLOSE, apart, at_size_of, check_preset, filled
from safetensors.torch import load_file
from timm_beside import Timm

import nas
from nas.content import find
from nas.errors import NasError
from nas.supernet.network import build
from nas.weights.timm_models import timm_model

pytestmark = pytest.mark.oracle
LARGE = pytest.mark.skipif(
    "NAS_LARGE_ORACLES" not in os.environ, reason="set NAS_LARGE_ORACLES=1: XL needs 9 GB"
)
PRESETS = ["B0", "B1", "B2", "B3", "S", "M", *(pytest.param(large, marks=LARGE) for large in ("L", "XL"))]


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_with_timms_weights_answers_as_timms_model(preset: str, timm: Timm, tmp_path: Path) -> None:
    check_preset("efficientnetv2", preset, f"tf_efficientnetv2_{preset.lower()}", timm, tmp_path)


def test_the_symmetric_padding_of_timms_own_models(timm: Timm, tmp_path: Path) -> None:
    text = find("spaces", "efficientnetv2").read_text()
    text = text.replace("padding: tensorflow", "padding: symmetric").replace("eps: 3", "eps: 5")
    copy = tmp_path / "symmetric.yaml"
    copy.write_text(text)
    timm.draw("efficientnetv2_s", tmp_path / "model.safetensors")
    tensors = load_file(tmp_path / "model.safetensors")
    images, expected = tensors.pop("input"), tensors.pop("output")
    space = nas.load_space(copy)
    network = filled(at_size_of(images, space, "S").double(), "efficientnetv2", tensors)
    with torch.no_grad():
        assert apart(network(images), expected) < CLOSE
    published = nas.load_space("efficientnetv2")
    other = filled(at_size_of(images, published, "S").double(), "efficientnetv2", tensors)
    with torch.no_grad():
        assert apart(other(images), expected) > 1000 * CLOSE


def test_the_call_of_timms_is_that_of_the_preset(timm: Timm, tmp_path: Path) -> None:
    space = nas.load_space("efficientnetv2")
    arch = space.presets["B0"]
    model = timm_model(build(space, arch, num_classes=7, seed=None), space.name)
    assert model.call() == 'timm.create_model("tf_efficientnetv2_b0", num_classes=7)'
    wider = space.encode([{**arch.values, "S6.width": 200}])[0]
    with pytest.raises(NasError, match="take no other sizes than those of B0"):
        timm_model(build(space, wider, num_classes=7, seed=None), space.name)
