"""Networks with timm's weights answer as timm's own models do, in float64; and timm loads what is written for it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from comparing import CLOSE, apart, check_preset
from safetensors.torch import load_file
from timm_beside import Timm
from typer.testing import CliRunner

import nas
from nas.cli import app
from nas.export.source import source_of
from nas.supernet.network import build
from nas.weights.writing import write_timm

pytestmark = pytest.mark.oracle
MODELS = [
    ("efficientformer", "L1", "efficientformer_l1"),
    ("efficientformer", "L7", "efficientformer_l7"),
    ("efficientformer_v2", "S0", "efficientformerv2_s0"),
    ("turbovit", "Hiera-T", "hiera_tiny_224"),
]


@pytest.mark.parametrize(("space", "preset", "model"), MODELS)
def test_a_preset_with_timms_weights_answers_as_timms_model(
    space: str, preset: str, model: str, timm: Timm, tmp_path: Path
) -> None:
    check_preset(space, preset, model, timm, tmp_path)


def test_an_own_architecture_is_loaded_by_the_call_that_its_file_tells(timm: Timm, tmp_path: Path) -> None:
    loaded = nas.load_space("efficientformer_v2")
    values = {
        "S1.depth": 1, "S1.width": 24, "S2.depth": 2, "S2.width": 56, "S3.depth": 3, "S3.width": 88, "S3.count": 1,
        "S4.depth": 2, "S4.width": 160, "S4.count": 1,
    }  # fmt: skip
    values |= {
        f"S{s}.expansion[{i}]": 2 + (s + i) % 3 for s, d in ((1, 1), (2, 2), (3, 3), (4, 2)) for i in range(d)
    }
    arch = loaded.encode([values])[0]
    network = build(loaded, arch, num_classes=7, seed=5)
    written = write_timm(network, loaded.name, arch.values, tmp_path / "own.safetensors")
    timm.load(written.file, tmp_path / "answer.safetensors")
    answer = load_file(tmp_path / "answer.safetensors")
    with torch.no_grad():
        assert apart(network.double().eval()(answer["input"]), answer["output"]) < CLOSE


def test_an_own_hiera_with_other_scopes_and_kernel(timm: Timm, tmp_path: Path) -> None:
    loaded = nas.load_space("turbovit")
    values = {
        "condense": "none", "widen_S2": "at", "widen_S3": "at", "widen_S4": "at", "embed.kernel": 5,
        "unroll.mask_unit": 8, "S1.depth": 1, "S1.width": 32, "S1.heads": 1, "S1.mlp_ratio": 3, "S2.depth": 2,
        "S2.heads": 2, "S2.scope": "global", "S2.mlp_ratio": 3, "S3.depth": 2, "S3.heads": 4, "S3.scope": "mask_unit",
        "S3.mlp_ratio": 3, "S4.depth": 2, "S4.heads": 8, "S4.scope": "global", "S4.mlp_ratio": 3,
    }  # fmt: skip
    arch = loaded.encode([values])[0]
    network = build(loaded, arch, num_classes=7, seed=5)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    written = write_timm(network, loaded.name, arch.values, tmp_path / "own.safetensors")
    timm.load(written.file, tmp_path / "answer.safetensors")
    answer = load_file(tmp_path / "answer.safetensors")
    with torch.no_grad():
        assert apart(network.double().eval()(answer["input"]), answer["output"]) < CLOSE


def test_the_command_writes_what_timm_loads(
    timm: Timm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = (
        "threads=1", "train.steps=4", "train.batch=4", "train.resolution_scale=0.25", "train.conflict_every=0",
        "evaluate.recalibrate=1", "evaluate.final_recalibrate=1", "evaluate.images=32", "search.batch=2",
    )  # fmt: skip
    space = str(Path(__file__).parents[1] / "weights" / "little.yaml")
    nas.run(space, settings=settings, strategy="random", n_trials=4, study_name="own", report=False)
    done = CliRunner().invoke(app, ["export", "own/0", "--names", "timm", "-o", "out"])
    assert done.exit_code == 0, done.output
    (file,) = Path("out").glob("*.safetensors")
    timm.load(file.resolve(), tmp_path / "answer.safetensors")
    answer = load_file(tmp_path / "answer.safetensors")
    study = nas.load_study("own").row
    source = source_of(study, dict(nas.load_study("own").storage.trials(study.id)[0].arch))
    with torch.no_grad():
        assert answer["input"].shape == (2, 3, 56, 56)
        assert apart(source.network.double()(answer["input"]), answer["output"]) < CLOSE
