"""MobileViTv2 with timm's weights answers as timm's does, in float64; and timm loads what is written for it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from comparing import CLOSE, apart, check_preset, filled
from safetensors.torch import load_file
from timm_beside import Timm

import nas
from nas.errors import NasError
from nas.supernet.network import build
from nas.weights.timm_models import timm_model
from nas.weights.writing import write_timm

pytestmark = pytest.mark.oracle
MODELS = [
    ("0.5", "mobilevitv2_050"),
    ("0.75", "mobilevitv2_075"),
    ("1.0", "mobilevitv2_100"),
    ("1.5-384", "mobilevitv2_150.cvnets_in22k_ft_in1k_384"),
]


@pytest.mark.parametrize(("preset", "model"), MODELS)
def test_a_preset_with_timms_weights_answers_as_timms_model(
    preset: str, model: str, timm: Timm, tmp_path: Path
) -> None:
    check_preset("mobilevitv2", preset, model, timm, tmp_path)


def test_odd_maps_are_resized_as_timm_does(timm: Timm, tmp_path: Path) -> None:
    """Written at 224 px, where the last map has 7 pixels a side, and loaded by the call that the file tells."""
    loaded = nas.load_space("mobilevitv2")
    timm.draw("mobilevitv2_050", tmp_path / "model.safetensors")
    tensors = load_file(tmp_path / "model.safetensors")
    del tensors["input"], tensors["output"]
    arch = loaded.encode([{**loaded.presets["0.5"].values, "resolution": 224}])[0]
    network = filled(build(loaded, arch, seed=0).double(), loaded.name, tensors)
    written = write_timm(network, loaded.name, arch.values, tmp_path / "own.safetensors")
    assert written.model.function == "mobilevitv2_050"
    timm.load(written.file, tmp_path / "answer.safetensors")
    answer = load_file(tmp_path / "answer.safetensors")
    assert answer["input"].shape[2:] == (224, 224)
    with torch.no_grad():
        assert apart(network(answer["input"]), answer["output"]) < CLOSE


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"S4.width": 480}, "widths are those of no multiplier"),
        ({"T4.block": "patch_transformer"}, "T4 attends by softmax"),
        ({"T3.depth": 3}, "T3 has 3 blocks, timm's has 2"),
        ({"U5.patch": 1}, "layer U5.0.patch_unfold has another patch"),
        ({"S2.expansion": 3}, "expands by 3, timm's by 2"),
        ({"U3.width": 96}, "U3 is not half as wide"),
    ],
)
def test_what_timms_code_cannot_hold_is_refused(change: dict[str, object], why: str) -> None:
    loaded = nas.load_space("mobilevitv2")
    arch = loaded.encode([{**loaded.presets["1.0"].values, **change}])[0]
    with pytest.raises(NasError, match=why):
        timm_model(build(loaded, arch, seed=None), loaded.name)
