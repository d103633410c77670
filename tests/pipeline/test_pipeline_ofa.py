"""Once-for-all's supernets in whole runs: searched as they are where --init gives them, trained where nothing does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from small_copy import SETTINGS, small_copy
from typer.testing import CliRunner

import nas
from nas.cli import app
from nas.errors import NasError
from nas.latency.profiling.modules import unit_model
from nas.latency.signature import format_signature
from nas.supernet.supernet import Supernet
from nas.weights.initial import weights_of
from nas.weights.names import LayerShapes, entries
from nas.weights.table import table_of

CLASSES = ("cat", "dog")
TRAINED = [*SETTINGS, "train.resolution_scale=0.5"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with images of two classes, the space at one resolution, and a supernet's weights as theirs."""
    folder = tmp_path_factory.mktemp("ofa")
    rng = np.random.default_rng(0)
    for split, count in (("train", 12), ("test", 6)):
        for number, name in enumerate(CLASSES):
            (folder / "images" / split / name).mkdir(parents=True)
            for index in range(count):
                pixels = rng.integers(0, 128, (32, 32, 3)) + 100 * number
                Image.fromarray(pixels.astype(np.uint8)).save(
                    folder / "images" / split / name / f"{index}.png"
                )
    narrow = {"resolution": [64], "channels": 3, "classes": 1000}
    space = nas.load_space(small_copy("ofa_mobilenetv3", folder, {}, input=narrow))
    supernet = Supernet(space, len(CLASSES), seed=3)
    ours = weights_of(supernet)
    layers = [LayerShapes(n, {k: tuple(t.shape) for k, t in w.items()}) for n, w in ours.items()]
    table = table_of(space.name, [])
    theirs = {
        entry.theirs: entry.form.join([ours[entry.layer][name].detach() for name in entry.ours])
        for entry in entries(table, layers)
    }
    torch.save({"state_dict": theirs}, folder / "ofa.pth")
    return folder


def kept(name: str, **more: object) -> nas.study.Study:
    settings = [each for each in SETTINGS if not each.startswith("train.")]
    given = {
        "init": "ofa.pth",
        "data": "imagefolder:images",
        "n_trials": 2,
        "study_name": name,
        "report": False,
    }
    return nas.run(
        "ofa_mobilenetv3.yaml",
        settings=settings,
        strategy="random",
        device="pixel6",
        **{**given, **more},
    )


def test_the_supernet_is_searched_as_it_is_and_a_network_exported(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnx")
    monkeypatch.chdir(place)
    study = kept("whole", report=True)
    assert len(study.trials()) == 2 and not list(study.storage.series(study.row.id, "train"))
    theirs = torch.load("ofa.pth", weights_only=True)["state_dict"]
    stored = load_file("nas-runs/whole/supernet.safetensors")
    matrix = theirs["blocks.6.conv.depth_conv.conv.7to5_matrix"]
    assert torch.equal(stored["layers.S2_1_ofa_bottleneck.depthwise_7to5"], matrix)
    assert Path("nas-runs/whole/report.html").is_file()
    done = CliRunner().invoke(app, ["export", "whole/0", "-o", "out"])
    assert done.exit_code == 0, done.output
    again = kept("whole", resume=True, n_trials=4)
    assert len(again.trials()) == 4


def test_what_cannot_be_searched_untrained_is_refused(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    with pytest.raises(NasError, match=r"tells 2 classes apart, .* has 10"):
        kept("others", data="digits")


def test_without_weights_it_is_trained_and_searched_by_every_strategy(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    space = "ofa_mobilenetv3.yaml"
    common = {"settings": TRAINED, "report": False}
    study = nas.run(space, strategy="random", n_trials=2, study_name="trained", **common)
    assert len(list(study.storage.series(study.row.id, "train"))) == 4
    for strategy, more in (("slimming", {"constraints": ["macs<=49940K"]}), ("generative", {})):
        found = nas.run(
            space, strategy=strategy, supernet="trained", n_trials=4, study_name=strategy, **common, **more
        )
        assert len(found.trials()) >= 4


def test_every_unit_is_built_for_profiling(place: Path) -> None:
    space = nas.load_space(place / "ofa_mobilenetv3.yaml")
    slots = [slot for arch in space.sample(5, seed=0) for slot in space.lower(arch) if slot.active]
    for slot in {(slot.kind, slot.sizes.get("kernel")): slot for slot in slots}.values():
        model = unit_model(format_signature(slot.kind, list(slot.sizes.values())))
        assert not any("to5" in name or "to3" in name for name, _ in model.module.named_parameters())
        with torch.no_grad():
            assert model.module(model.example).isfinite().all()
