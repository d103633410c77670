"""Networks of the later families that timm's code cannot hold are refused, and the others told in its arguments."""

from __future__ import annotations

import pytest

import nas
from nas.errors import NasError
from nas.supernet.network import build
from nas.weights.timm_models import TimmModel, timm_model

Change = dict[str, int | str]


def model(space: str, preset: str, change: Change) -> TimmModel:
    loaded = nas.load_space(space)
    arch = loaded.encode([{**loaded.presets[preset].values, **change}])[0]
    return timm_model(build(loaded, arch, seed=None), loaded.name)


@pytest.mark.parametrize(
    ("space", "preset", "change", "why"),
    [
        ("repvit", "M0.9", {"gates": "all"}, "gates of S1 are not on every second block"),
        ("repvit", "M0.9", {"gates": "none"}, "gates of S1 are not on every second block"),
        ("repvit", "M0.9", {"S3.kernel": 5}, "depth-wise kernels differ"),
        ("repvit", "M0.9", {"S2.downsample.block": "separable"}, "no block before its stride"),
        ("repvit_legacy", "M1", {"stem1.act": "relu"}, "another activation than gelu"),
        ("efficientvit_msra", "M0", {"S2.mlp_ratio": 1}, "another ratio than 2"),
        ("tiny_vit", "5M", {"S3.mlp_ratio": 3}, "several ratios"),
        ("tiny_vit", "5M", {"S4.kernel": 5}, "kernels between attention"),
    ],
)
def test_what_timms_code_cannot_hold_is_refused(space: str, preset: str, change: Change, why: str) -> None:
    with pytest.raises(NasError, match=why):
        model(space, preset, change)


def test_arguments_are_those_of_timms_own_functions() -> None:
    """As timm 1.0.31 calls its classes for these models."""
    later, first = model("repvit", "M1.5", {}).arguments, model("repvit_legacy", "M3", {}).arguments
    assert (later["embed_dim"], later["depth"], later["legacy"]) == (
        (64, 128, 256, 512),
        (4, 4, 24, 4),
        False,
    )
    assert (first["embed_dim"], first["depth"], first["legacy"]) == ((64, 128, 256, 512), (4, 4, 18, 2), True)
    assert later["mlp_ratio"] == (2, 2, 2, 2) and later["kernel_size"] == 3 and later["distillation"]
    one = model("repvit", "M0.9", {"head.distilled": 0}).arguments
    assert not one["distillation"]
    small, wide = (model("efficientvit_msra", "M0", {"S1.window": side}).arguments for side in (7, 14))
    assert (small["window_size"], wide["window_size"]) == ((7, 7, 7), (14, 7, 7))
    tiny = model("tiny_vit", "21M-384", {}).arguments
    assert (tiny["embed_dims"], tiny["depths"]) == ((96, 192, 384, 576), (2, 2, 6, 2))
    assert (tiny["num_heads"][1:], tiny["window_sizes"][1:]) == ((6, 12, 18), (12, 24, 12))
    assert (tiny["mlp_ratio"], tiny["mbconv_expand_ratio"], tiny["local_conv_size"]) == (4, 4, 3)
