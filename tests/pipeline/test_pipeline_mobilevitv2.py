"""A small run on MobileViTv2's layers, and what it finds as ONNX; and every unit timed."""

from __future__ import annotations

from pathlib import Path

import pytest
from family_run import run_and_export, units_are_built

import nas

SPACE = """
version: 1
name: little_mobilevit
input: {resolution: [64, 88], classes: 1000}
stages:
  stem: {block: conv_bn, stride: 4, width: 8, act: silu}
  S1: {block: inverted_bottleneck, stride: 2, width: [8, 16], expansion: 2, act: silu}
  U1: {block: patch_unfold, width: [8, 16], kernel: [3, 5], patch: [1, 2]}
  T1:
    block: [separable_transformer, patch_transformer]
    depth: [1, 2]
    width: U1.width
    mlp_ratio: [1, 2]
  F1: {block: patch_fold, width: S1.width}
  head: {block: classifier}
"""


def test_a_run_ends_in_a_file_that_answers_as_the_network_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At 22 px, where the last map has 3 pixels a side and is resized for patches of 2."""
    monkeypatch.chdir(tmp_path)
    run_and_export(SPACE, tmp_path)


def test_every_unit_of_the_space_can_be_built_to_be_timed() -> None:
    units_are_built(nas.load_space("mobilevitv2"))
