"""EfficientNetV2 in whole runs: both kinds of block learn, what is exported has no norm."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from small_copy import SETTINGS, small_copy
from typer.testing import CliRunner

import nas
from nas.cli import app
from nas.latency.profiling.modules import unit_model
from nas.latency.signature import format_signature

STAGES = {
    "S1": {"depth": {"min": 0, "max": 1}, "width": [8, 16]},
    "S2": {"depth": {"min": 0, "max": 1}, "width": 16},
    "S3": {"depth": 1, "width": [16, 24]},
    "S4": {"depth": 1, "width": 24},
    "S5": {"depth": 1, "width": 32},
    "S6": {"depth": [1, 2], "width": 32},
    "S7": {"depth": {"min": 0, "max": 1}, "width": 40},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the space `efficientnetv2.yaml`, made small, and its finished study `whole`."""
    place = tmp_path_factory.mktemp("efficientnetv2")
    space = small_copy(
        "efficientnetv2",
        place,
        STAGES,
        input={"resolution": [192, 224], "channels": 3, "classes": 10},
        sampling=None,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        nas.run(
            space,
            settings=SETTINGS,
            strategy="random",
            device="pixel6",
            n_trials=3,
            study_name="whole",
            report=False,
        )
    return place


def test_a_found_network_is_exported_without_norms(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    onnx = pytest.importorskip("onnx")
    monkeypatch.chdir(folder)
    done = CliRunner().invoke(app, ["export", "whole/0", "-o", "out"])
    assert done.exit_code == 0, done.output
    (file,) = Path("out").glob("*.onnx")
    nodes = [node.op_type for node in onnx.load(file).graph.node]
    assert "Conv" in nodes and "BatchNormalization" not in nodes


def test_the_other_strategies_run_on_the_same_supernet(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    for strategy, more in (("slimming", {"constraints": ["macs<=2900M"]}), ("generative", {})):
        study = nas.run(
            "efficientnetv2.yaml",
            settings=SETTINGS,
            strategy=strategy,
            supernet="whole",
            n_trials=4,
            study_name=strategy,
            report=False,
            **more,
        )
        assert len(study.trials()) == 4 or strategy == "slimming"  # which ends where nothing is left to cut
        assert len(study.front())


def test_every_unit_is_built_for_profiling(folder: Path) -> None:
    space = nas.load_space(folder / "efficientnetv2.yaml")
    seen = {slot.kind: slot for arch in space.sample(20, seed=0) for slot in space.lower(arch) if slot.active}
    assert seen.keys() == {"conv_bn", "fused_bottleneck", "inverted_bottleneck", "classifier"}
    for slot in seen.values():
        model = unit_model(format_signature(slot.kind, list(slot.sizes.values())))
        with torch.no_grad():
            assert model.module(model.example).isfinite().all()
