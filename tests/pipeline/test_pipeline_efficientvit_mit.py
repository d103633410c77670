"""A small run on the layers of MIT's EfficientViT, both series, and what it finds as ONNX; and every unit timed."""

from __future__ import annotations

from pathlib import Path

import pytest
from family_run import run_and_export, units_are_built

import nas

SPACE = """
version: 1
name: little_efficientvit
input: {resolution: [64, 96], classes: 1000}
stages:
  stem: {block: conv_bn, stride: 2, width: 8, act: [hard_swish, gelu_tanh]}
  S0: {block: residual_conv, width: stem.width, expansion: 1, act: stem.act, eps: 7}
  S1: {block: [fused_bottleneck, basic], stride: 2, depth: [1, 2], width: [8, 16], expansion: 2, act: stem.act}
  S2:
    block: [mla_bottleneck, inverted_bottleneck]
    stride: 2
    downsample: {block: inverted_bottleneck, expansion: S2.expansion, norms: S2.norms, act: stem.act}
    depth: [1, 2]
    width: [16, 32]
    dim: [4, 8]
    scales: [none, k3, k5, k5k3]
    expansion: [2, 3]
    norms: [last, all]
    act: stem.act
  head: {block: classifier, features: 16, hidden: 24, hidden_norm: layer_norm, act: stem.act}
"""


def test_a_run_ends_in_a_file_that_answers_as_the_network_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run_and_export(SPACE, tmp_path)


@pytest.mark.parametrize("name", ["efficientvit_b", "efficientvit_l"])
def test_every_unit_of_the_space_can_be_built_to_be_timed(name: str) -> None:
    units_are_built(nas.load_space(name))
