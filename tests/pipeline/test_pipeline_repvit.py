"""RepViT in whole runs: the twin classifier learns, what is searched and exported has single convolutions."""

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
from nas.supernet.network import build

STAGES = {
    "S1": {"depth": [1, 2], "width": [8, 16]},
    "S2": {"depth": 1, "width": [16, 24]},
    "S3": {"depth": [1, 2], "width": [24, 32]},
    "S4": {"depth": 1, "width": 32},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the space `repvit.yaml`, made small, and its finished study `whole`."""
    place = tmp_path_factory.mktemp("repvit")
    space = small_copy(
        "repvit", place, STAGES, input={"resolution": [192, 224], "channels": 3, "classes": 10}
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


def test_a_found_network_is_exported_as_single_convolutions(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    onnx = pytest.importorskip("onnx")
    monkeypatch.chdir(folder)
    done = CliRunner().invoke(app, ["export", "whole/0", "-o", "out"])
    assert done.exit_code == 0, done.output
    (file,) = Path("out").glob("*.onnx")
    nodes = [node.op_type for node in onnx.load(file).graph.node]
    space, study = nas.load_space("repvit.yaml"), nas.load_study("whole")
    arch = nas.Arch(space, dict(study.storage.trials(study.row.id)[0].arch))
    slots = [slot for slot in space.lower(arch) if slot.active]
    kinds = [slot.kind for slot in slots]
    gates = sum(2 for slot in slots if slot.sizes.get("squeezed"))
    per_kind = {"conv_bn": 1, "rep_mixer": 1, "map_ffn": 2, "separable": 2}
    assert nodes.count("Conv") == sum(per_kind.get(kind, 0) for kind in kinds)
    assert nodes.count("Gemm") + nodes.count("MatMul") == gates + 1  # a convolution of one pixel is a product
    assert "BatchNormalization" not in nodes


def test_the_other_strategies_run_on_the_same_supernet(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    for strategy, more in (("slimming", {"constraints": ["macs<=60M"]}), ("generative", {})):
        study = nas.run(
            "repvit.yaml",
            settings=SETTINGS,
            strategy=strategy,
            supernet="whole",
            n_trials=4,
            study_name=strategy,
            report=False,
            **more,
        )
        assert len(study.trials()) >= 4


def test_a_step_trains_both_classifiers(folder: Path) -> None:
    space = nas.load_space(folder / "repvit.yaml")
    arch = space.encode([{**space.sample(1, seed=0)[0].values, "head.distilled": 1}])[0]
    network = build(space, arch, seed=0, scale=0.25).train()
    before = {name: tensor.clone() for name, tensor in network.layers[-1].named_parameters()}
    network(torch.randn(4, 3, 48, 48)).logsumexp(1).sum().backward()
    grads = {name: p.grad for name, p in network.layers[-1].named_parameters()}
    assert {"classes_weight", "distilled_weight", "distilled_norm_weight"} <= before.keys()
    assert all(grad is not None and float(grad.abs().max()) > 0 for grad in grads.values())


def test_every_unit_is_built_for_profiling(folder: Path) -> None:
    space = nas.load_space(folder / "repvit.yaml")
    seen = {slot.kind: slot for arch in space.sample(20, seed=0) for slot in space.lower(arch) if slot.active}
    for slot in seen.values():
        model = unit_model(format_signature(slot.kind, list(slot.sizes.values())))
        with torch.no_grad():
            assert model.module(model.example).isfinite().all()
        assert not any("_bn" in name or "_0" in name for name, _ in model.module.named_parameters())
