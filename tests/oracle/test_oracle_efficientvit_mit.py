"""MIT's EfficientViT with timm's weights answers as timm's does, in float64; and timm loads what is written for it.

timm adds 1e-5 to what weights of attention are divided by, the authors 1e-15; and the norm in timm's head of the L
series has an epsilon of 1e-5, the authors' of 1e-7. The space's files are the authors'.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from comparing import CLOSE, apart, check_preset
from safetensors.torch import load_file
from timm_beside import Timm

import nas
from nas.content import find
from nas.errors import NasError
from nas.supernet.network import Network, build
from nas.weights.timm_models import timm_model
from nas.weights.writing import write_timm

pytestmark = pytest.mark.oracle
LARGE = pytest.mark.skipif(
    "NAS_LARGE_ORACLES" not in os.environ, reason="set NAS_LARGE_ORACLES=1: L3 needs 12 GB"
)
MODELS = [
    ("efficientvit_b", "B0", "efficientvit_b0"),
    *(("efficientvit_b", f"B{n}", f"efficientvit_b{n}.r224_in1k") for n in (1, 2, 3)),
    *(
        ("efficientvit_b", f"B{n}-{side}", f"efficientvit_b{n}.r{side}_in1k")
        for n in (1, 2, 3)
        for side in (256, 288)
    ),
    *(("efficientvit_l", f"L{n}", f"efficientvit_l{n}.r224_in1k") for n in (1, 2)),
    pytest.param("efficientvit_l", "L3", "efficientvit_l3.r224_in1k", marks=LARGE),
    *(
        pytest.param(
            "efficientvit_l", f"{net}-{side}", f"efficientvit_{net.lower()}.r{side}_in1k", marks=LARGE
        )
        for net, sides in (("L2", (256, 288, 384)), ("L3", (256, 320, 384)))
        for side in sides
    ),
]
"""All of timm's; it has no L2 at 320 and no L3 at 288. L3, of 246 million weights, needs about 12 GB."""


def as_timm(space: str, folder: Path) -> Path:
    """The space's file with timm's epsilon of attention."""
    scales = "    scales: [none, k3, k5, k5k3]"
    text = find("spaces", space).read_text()
    assert text.count(scales) == 2
    path = folder / f"{space}.yaml"
    path.write_text(text.replace(scales, f"{scales}\n    attention_eps: 5"))
    return path


def widen(network: Network) -> None:
    """Variances in the head so much larger as timm's epsilon is."""
    head = network.layers[-1]
    head.features_bn_var += 1e-5 - 1e-7


@pytest.mark.parametrize(("space", "preset", "model"), MODELS)
def test_a_preset_with_timms_weights_answers_as_timms_model(
    space: str, preset: str, model: str, timm: Timm, tmp_path: Path
) -> None:
    adjust = widen if space == "efficientvit_l" else None
    changed = as_timm(space, tmp_path)
    check_preset(space, preset, model, timm, tmp_path, changed=changed, adjust=adjust)


OWN = {
    "resolution": 160, "stem.width": 16, "stem.act": "hard_swish", "S0.depth": 2, "S1.depth": 1, "S1.width": 24,
    "S2.depth": 2, "S2.width": 48, "S3.depth": 1, "S3.width": 64, "S4.depth": 2, "S4.width": 128,
    "head.features": 1024, "head.hidden": 1600,
    **{f"S{s}.{key}": value for s in (3, 4) for key, value in (("dim", 32), ("scales", "k5"), ("norms", "last"))},
    "S1.block": "inverted_bottleneck", "S3.block": "mla_bottleneck", "S4.block": "mla_bottleneck",
    **{f"S{s}.expansion": 3 for s in (1, 2, 3, 4)},
}  # fmt: skip


def test_an_own_architecture_is_loaded_by_the_call_that_its_file_tells(timm: Timm, tmp_path: Path) -> None:
    loaded = nas.load_space(as_timm("efficientvit_b", tmp_path))
    arch = loaded.encode([OWN])[0]
    network = build(loaded, arch, num_classes=7, seed=5)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    written = write_timm(network, loaded.name, arch.values, tmp_path / "own.safetensors")
    timm.load(written.file, tmp_path / "answer.safetensors")
    answer = load_file(tmp_path / "answer.safetensors")
    with torch.no_grad():
        assert apart(network.double().eval()(answer["input"]), answer["output"]) < CLOSE


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"S3.dim": 16}, "several widths"),
        ({"S3.scales": "k3"}, "other scales"),
        ({"S4.block": "inverted_bottleneck"}, "S4 is without attention"),
        ({"S1.block": "fused_bottleneck"}, "fused bottlenecks in S1 where timm has bottlenecks"),
        ({"S3.norms": "all"}, "S3 has norms behind other convolutions"),
        ({"S1.expansion": 4}, "several factors"),
        ({"stem.act": "relu"}, "another activation than hard_swish"),
    ],
)
def test_what_timms_code_cannot_hold_is_refused(change: dict[str, object], why: str) -> None:
    loaded = nas.load_space("efficientvit_b")
    network = build(loaded, loaded.encode([{**OWN, **change}])[0], seed=None)
    with pytest.raises(NasError, match=why):
        timm_model(network, loaded.name)


@pytest.mark.parametrize(("space", "preset"), [("efficientvit_b", "B3-256"), ("efficientvit_l", "L2")])
def test_a_preset_is_called_by_its_own_sizes(space: str, preset: str) -> None:
    loaded = nas.load_space(space)
    model = timm_model(build(loaded, loaded.presets[preset], seed=None), space)
    sizes = {
        "B3-256": ((32, 64, 128, 256, 512), (1, 4, 6, 6, 9), (2304, 2560)),
        "L2": ((32, 64, 128, 256, 512), (1, 2, 2, 8, 8), (3072, 3200)),
    }
    found = tuple(model.arguments[key] for key in ("widths", "depths", "head_widths"))
    assert found == sizes[preset] and model.arguments["head_dim"] == 32
