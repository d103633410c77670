"""TinyViT in whole runs: windows that do not fit the map, other strategies, export, units to profile."""

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
    "S1": {"depth": 1, "width": [16, 32]},
    "S2": {"depth": 1, "width": [32, 64]},
    "S3": {"depth": [1, 2], "width": 64},
    "S4": {"depth": 1, "width": 64},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the space `tiny_vit.yaml`, made small, and its finished study `whole`."""
    place = tmp_path_factory.mktemp("tiny_vit")
    space = small_copy(
        "tiny_vit", place, STAGES, input={"resolution": [192, 224], "channels": 3, "classes": 10}
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


def test_a_found_network_is_exported(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At 41 px, S2 is a map of 6: windows of 2 or 3 pixels; at 48 px the same."""
    pytest.importorskip("onnx")
    monkeypatch.chdir(folder)
    done = CliRunner().invoke(app, ["export", "whole/0", "-o", "out"])
    assert done.exit_code == 0, done.output
    assert len(list(Path("out").glob("*.onnx"))) == 1


def test_the_other_strategies_run_on_the_same_supernet(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    for strategy, more in (("slimming", {"constraints": ["macs<=140M"]}), ("generative", {})):
        study = nas.run(
            "tiny_vit.yaml", settings=SETTINGS, strategy=strategy, supernet="whole", n_trials=4, study_name=strategy,
            report=False, **more,
        )  # fmt: skip
        assert len(study.trials()) >= 4


def test_every_unit_is_built_for_profiling(folder: Path) -> None:
    space = nas.load_space(folder / "tiny_vit.yaml")
    seen = {slot.kind: slot for arch in space.sample(20, seed=0) for slot in space.lower(arch) if slot.active}
    assert {"window_attention", "token_ffn", "inverted_bottleneck", "depthwise"} <= seen.keys()
    for slot in seen.values():
        model = unit_model(format_signature(slot.kind, list(slot.sizes.values())))
        with torch.no_grad():
            assert model.module(model.example).isfinite().all()
