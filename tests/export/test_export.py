"""A found model taken away: exported, and run by a program that knows nothing of this package."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from typer.testing import CliRunner

import nas
from nas.cli import app
from nas.errors import NasError
from nas.export.export import Exported, compare, export
from nas.export.formats import ExecuTorch, ExportFormat, Onnx, Run, TorchExport, format_of
from nas.export.source import FromImages, Source, source_of
from nas.pipeline.progress import Interrupt, Silent
from nas.pipeline.retraining import prepare, retrain
from nas.pipeline.run import run
from nas.pipeline.training import TrainedSupernet
from nas.supernet.deploy import deployed

Form = TypeVar("Form", bound=ExportFormat)
SPACE = Path(__file__).parents[1] / "pipeline" / "small.yaml"
SMALL = (
    "threads=1", "train.steps=40", "train.batch=8", "train.resolution_scale=0.25", "train.checkpoint_every=40",
    "evaluate.recalibrate=1", "evaluate.final_recalibrate=1", "evaluate.images=32", "search.batch=2",
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a finished study, as the working directory."""
    folder, before = tmp_path_factory.mktemp("export"), Path.cwd()
    os.chdir(folder)
    try:
        run(SPACE, settings=SMALL, study_name="s", strategy="random", n_trials=2)
        yield folder
    finally:
        os.chdir(before)


@pytest.fixture(scope="module")
def source(folder: Path) -> Source:
    """The smallest network of the space: exporting takes seconds for each of its layers."""
    least = nas.load_space(SPACE).presets["least"]
    return source_of(nas.load_study("s").row, dict(least.values), str(SPACE))


@pytest.fixture(scope="module")
def onnx_once() -> type[Onnx]:
    """ONNX of `source` alone: it is converted once for all tests."""
    return _converted_once(Onnx)


@pytest.fixture(scope="module")
def executorch_once() -> type[ExecuTorch]:
    """ExecuTorch's, in the same way; with 8 bits it is another network."""
    return _converted_once(ExecuTorch, int8=ExecuTorch.int8)


def _converted_once(form: type[Form], **others: Any) -> type[Form]:
    made: list[bytes] = []

    def export(network: nn.Module, example: Tensor) -> bytes:
        if not made:
            made.append(form.export(network, example))
        return made[0]

    replaced = {"export": export, **others}
    return type("Once", (form,), {name: staticmethod(method) for name, method in replaced.items()})


@pytest.mark.parametrize("name", ("onnx", "torch-export", "executorch"))
def test_an_exported_model_runs_by_its_own_program(
    name: str,
    source: Source,
    onnx_once: type[Onnx],
    executorch_once: type[ExecuTorch],
    tmp_path: Path,
) -> None:
    try:
        form = {"onnx": onnx_once, "executorch": executorch_once}.get(name, format_of(name))
    except NasError as error:
        pytest.skip(str(error))
    done = export(source, form, tmp_path, {}, images=70)
    assert (
        done.check is not None
        and done.check.images == 70
        and done.check.agreement == 1.0
        and done.check.difference < 1e-3
    )
    card = done.card.read_text()
    for told in (
        name,
        "embedded`, images not mirrored",
        "4 subnets a step",
        "UCI repository",
        f"nas {nas.__version__}",
    ):
        assert told in card, told
    assert done.weights.stat().st_size > 0
    bare = {**os.environ, "PYTHONPATH": ""}
    told = subprocess.run(
        [sys.executable, done.usage.name], cwd=tmp_path, capture_output=True, text=True, env=bare, check=False
    )
    assert told.returncode == 0, told.stderr
    assert "nas" not in done.usage.read_text() and "[" in told.stdout


def test_the_accuracy_of_the_file_is_the_studys(folder: Path, tmp_path: Path) -> None:
    study = nas.load_study("s")
    trial = study.storage.front(study.row.id)[0]
    found = source_of(study.row, dict(trial.arch), str(SPACE))
    done = export(found, TorchExport, tmp_path, {}, images=0)
    assert done.check is not None
    assert done.check.accuracy == pytest.approx(
        trial.at("final")["accuracy"].value, abs=1 / done.check.images
    )


def test_retrained_weights_are_exported_with_their_accuracy(folder: Path, tmp_path: Path) -> None:
    study = nas.load_study("s")
    trial = study.storage.front(study.row.id)[0]
    job, data = prepare(study.row, dict(trial.arch), "scratch", ["train.steps=4", "seed=5"], str(SPACE))
    with pytest.raises(NasError, match="nas retrain TRIAL"):
        source_of(study.row, dict(trial.arch), str(SPACE), "retrained")
    done = retrain(job, data, Silent(), Interrupt())
    found = source_of(study.row, dict(trial.arch), str(SPACE), "retrained")
    exported = export(found, TorchExport, tmp_path, {}, images=0)
    assert exported.check is not None
    assert exported.check.accuracy == pytest.approx(done.accuracy.value)
    assert "retrained from scratch (4 steps, seed 5)" in exported.card.read_text()
    assert load_file(exported.weights).keys() == load_file(done.weights).keys()


def test_int8_keeps_the_answers_and_is_8_bits(source: Source, onnx_once: type[Onnx], tmp_path: Path) -> None:
    import onnx

    small = export(source, onnx_once, tmp_path, {}, 200, quantize=True)
    _check_int8(small, source)
    model = onnx.load(small.model)
    kinds = [node.op_type for node in model.graph.node]
    assert "QuantizeLinear" in kinds and kinds.count("DequantizeLinear") > kinds.count("Conv")
    large = [tensor for tensor in model.graph.initializer if len(tensor.dims) > 1 and tensor.dims[0] >= 32]
    assert {tensor.data_type for tensor in large} == {onnx.TensorProto.INT8}


def test_int8_for_xnnpack_keeps_the_answers_and_is_8_bits(
    source: Source, executorch_once: type[ExecuTorch], tmp_path: Path
) -> None:
    try:
        format_of("executorch")
    except NasError as error:
        pytest.skip(str(error))
    small = export(source, executorch_once, tmp_path, {}, 200, quantize=True)
    _check_int8(small, source)
    assert "torchao " in small.card.read_text()
    plain = executorch_once.export(
        FromImages(deployed(source.network)).eval(), torch.zeros(1, 3, *source.size)
    )
    matrices = [tensor for tensor in deployed(source.network).parameters() if tensor.dim() > 1]
    saved = len(plain) - small.model.stat().st_size
    assert saved > 1.5 * sum(tensor.numel() for tensor in matrices)  # bytes, of 3 less the scales


def _check_int8(small: Exported, source: Source) -> None:
    images, labels = source.test_images(200)
    with torch.no_grad():
        right = FromImages(source.network)(images).argmax(1) == labels
    assert small.check is not None
    assert small.check.before == pytest.approx(float(right.float().mean()))
    assert small.check.agreement > 0.9 and small.check.difference > 0
    assert "% before" in small.card.read_text()


def test_no_image_of_the_data_is_in_the_file(source: Source, tmp_path: Path) -> None:
    """PyTorch keeps the example it traced a program with, and all of the memory behind it."""
    done = export(source, TorchExport, tmp_path, {}, 200)
    (kept,), _ = torch.export.load(done.model).example_inputs
    assert kept.shape[0] == 2 and not kept.any() and kept.untyped_storage().nbytes() == kept.nbytes


def test_a_core_ml_package_is_whole_and_says_that_it_was_not_run(source: Source, tmp_path: Path) -> None:
    coremltools = pytest.importorskip("coremltools")
    done = export(source, format_of("coreml"), tmp_path, {}, 4)
    assert done.check is None and "**Not run**" in done.card.read_text()
    with zipfile.ZipFile(done.model) as packed:
        packed.extractall(tmp_path)
    spec = coremltools.models.MLModel(str(tmp_path / "model.mlpackage"), skip_model_load=True).get_spec()
    (images,), (scores,) = spec.description.input, spec.description.output
    assert (images.name, scores.name) == ("images", "scores")
    assert list(images.type.multiArrayType.shape) == [1, 3, *source.size]
    stored = (tmp_path / "model.mlpackage" / "Data" / "com.apple.CoreML" / "weights" / "weight.bin").stat()
    parameters = sum(tensor.numel() for tensor in deployed(source.network).parameters())
    assert stored.st_size > parameters  # bytes; weights are stored with 16 bits
    compile(done.usage.read_text(), "usage", "exec")


def test_int8_of_another_format_is_refused(source: Source, tmp_path: Path) -> None:
    with pytest.raises(NasError, match="onnx and executorch"):
        export(source, format_of("torch-export"), tmp_path / "none", {}, 4, quantize=True)
    assert not (tmp_path / "none").exists()


def test_a_study_that_was_searched_for_a_device_is_exported(folder: Path) -> None:
    """Its objectives cannot be evaluated without the device, and need not be."""
    run(SPACE, settings=SMALL, study_name="d", strategy="random", n_trials=1, device="pixel6", supernet="s",
        objectives=["accuracy:max", "latency:min"], constraints=["latency<=900ms"])  # fmt: skip
    study = nas.load_study("d")
    trial = study.storage.trials(study.row.id)[0]
    assert source_of(study.row, dict(trial.arch), str(SPACE)).arch.id == trial.arch_id


def test_a_supernet_of_an_earlier_version_is_exported_by_its_own_study_alone(
    folder: Path, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    import nas.export.source as module

    load = module.load

    def without_settings(*arguments: Any) -> TrainedSupernet:
        trained = load(*arguments)
        return replace(trained, card={key: value for key, value in trained.card.items() if key != "train"})

    monkeypatch.setattr(module, "load", without_settings)
    least = dict(source.arch.values)
    assert source_of(nas.load_study("s").row, least, str(SPACE)).recipe == source.recipe
    run(SPACE, settings=SMALL, study_name="t", supernet="s", strategy="random", n_trials=1)
    with pytest.raises(NasError, match="earlier version"):
        source_of(nas.load_study("t").row, least, str(SPACE))


def test_a_file_that_computes_something_else_is_refused(
    source: Source, onnx_once: type[Onnx], tmp_path: Path
) -> None:
    class Wrong(onnx_once):  # type: ignore[misc,valid-type]
        @classmethod
        def runner(cls, data: bytes) -> Run:
            true = Onnx.runner(data)
            return lambda images: true(1 - images)

    class Broken(onnx_once):  # type: ignore[misc,valid-type]
        @classmethod
        def runner(cls, data: bytes) -> Run:
            return Onnx.runner(data[:100])

    with pytest.raises(NasError, match="something else than PyTorch"):
        export(source, Wrong, tmp_path / "out", {}, images=16)
    with pytest.raises(NasError, match="onnx cannot run the file"):
        export(source, Broken, tmp_path / "out", {}, images=16)
    assert not (tmp_path / "out").exists()


def test_scores_of_another_shape_or_that_are_not_numbers_are_refused() -> None:
    images, expected = np.zeros((4, 3, 2, 2), np.float32), np.eye(4, dtype=np.float32)
    labels = np.arange(4)
    with pytest.raises(NasError, match="shape"):
        compare(lambda x: expected[:, :2], images, expected, labels, "onnx")
    with pytest.raises(NasError, match="something else"):
        compare(lambda x: expected * np.nan, images, expected, labels, "onnx")


def test_what_cannot_be_exported_is_explained(folder: Path) -> None:
    cli = CliRunner()
    for arguments, words in (
        (["export", "s/0", "--format", "onx"], "Did you mean 'onnx'"),
        (["export", "s/99"], "99"),
        (["export", "s/0", "--space", "nowhere.yaml"], "nowhere.yaml"),
    ):
        result = cli.invoke(app, arguments)
        assert isinstance(result.exception, NasError) and words in str(result.exception), arguments


def test_a_format_states_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    class Absent(ExportFormat):
        name, packages = "absent", ("no-such-package",)

    with pytest.raises(NasError, match="needs no-such-package"):
        Absent.check_installed()
