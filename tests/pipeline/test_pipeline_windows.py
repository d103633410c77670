"""Networks of windows in whole runs: Microsoft's EfficientViT and FasterViT, found, exported, built for profiling."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from small_copy import SETTINGS, small_copy
from typer.testing import CliRunner

import nas
from nas.cli import app
from nas.latency.profiling.modules import unit_model
from nas.latency.signature import format_signature

STAGES: dict[str, dict[str, dict[str, Any]]] = {
    "efficientvit_msra": {
        "S1": {"depth": 1, "width": [24, 48]},
        "S2": {"depth": 1, "width": [48, 72]},
        "S3": {"depth": [1, 2], "width": [72, 96]},
    },
    "fastervit": {
        "stem1": {"width": 8},
        "S1": {"depth": 1, "width": [8, 16]},
        "carriers3": {"window": [2, 4]},
        "S2": {"depth": 1},
        "S3": {"depth": [1, 2]},
        "S4": {"depth": 1},
    },
}
KINDS = {
    "efficientvit_msra": {"cascaded_attention", "depthwise", "map_ffn", "inverted_bottleneck"},
    "fastervit": {"carrier_tokens", "carrier_attention", "windowed_attention", "end_carriers", "norm_conv"},
}
INPUT = {"resolution": [192, 256], "channels": 3, "classes": 10}


@pytest.fixture(scope="module", params=STAGES)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder named as a space, with a small copy of it and its finished study `whole`."""
    place = tmp_path_factory.mktemp("windows") / str(request.param)
    place.mkdir()
    space = small_copy(request.param, place, STAGES[request.param], input=INPUT)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        nas.run(
            space, settings=[*SETTINGS, "train.resolution_scale=0.25"], strategy="random", device="pixel6",
            n_trials=3, study_name="whole", report=False,
        )  # fmt: skip
    return place


def test_a_found_network_is_exported_with_the_same_answers(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnx")
    monkeypatch.chdir(folder)
    done = CliRunner().invoke(app, ["export", "whole/0", "-o", "out"])
    assert done.exit_code == 0, done.output
    assert len(list(Path("out").glob("*.onnx"))) == 1


def test_the_other_strategies_run_on_the_same_supernet(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    for strategy, more in (("slimming", {"constraints": ["macs<=60M"]}), ("generative", {})):
        study = nas.run(
            f"{folder.name}.yaml", settings=[*SETTINGS, "train.resolution_scale=0.25"], strategy=strategy,
            supernet="whole", n_trials=4, study_name=strategy, report=False, **more,
        )  # fmt: skip
        assert len(study.trials()) >= 4


def test_every_unit_is_built_for_profiling(folder: Path) -> None:
    space = nas.load_space(folder / f"{folder.name}.yaml")
    seen = {slot.kind: slot for arch in space.sample(20, seed=0) for slot in space.lower(arch) if slot.active}
    assert KINDS[folder.name] <= seen.keys()
    for slot in seen.values():
        model = unit_model(format_signature(slot.kind, list(slot.sizes.values())))
        with torch.no_grad():
            assert model.module(model.example).isfinite().all()
