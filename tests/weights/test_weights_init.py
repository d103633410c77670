"""Weights from elsewhere: what fits is taken, the rest refused by name and shape; runs know where they began."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

import nas
from nas.cli import app
from nas.errors import NasError
from nas.pipeline.progress import Silent
from nas.pipeline.reproduce import reproduce
from nas.pipeline.run import run
from nas.supernet.network import Network, build
from nas.supernet.supernet import Supernet
from nas.weights.files import read_weights
from nas.weights.initial import initial_of_network, initial_of_supernet, weights_of
from nas.weights.normalisation import as_theirs
from nas.weights.table import table_of, tables
from nas.weights.writing import timm_state

SPACE = "efficientformer_v2"
LITTLE = Path(__file__).parent / "little.yaml"
SMALL = (
    "threads=1", "train.steps=2", "train.batch=4", "train.resolution_scale=0.25", "train.checkpoint_every=2",
    "train.conflict_every=0", "evaluate.recalibrate=1", "evaluate.final_recalibrate=1", "evaluate.images=32",
    "search.batch=2",
)  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A working directory with the weights of S0 for ten classes, `s0.safetensors`."""
    folder, before = tmp_path_factory.mktemp("weights"), Path.cwd()
    os.chdir(folder)
    try:
        save_file(timm_state(network(), SPACE), "s0.safetensors")
        yield folder
    finally:
        os.chdir(before)


def network() -> Network:
    """S0 with weights none of which is at its initial value."""
    space = nas.load_space(SPACE)
    made = build(space, space.presets["S0"], num_classes=10, seed=3)
    generator = torch.Generator().manual_seed(4)
    for name, tensor in made.state_dict().items():
        noise = torch.randn(tensor.shape, generator=generator)
        tensor.copy_(noise.abs() + 0.5 if name.endswith("_var") else tensor + 0.1 * noise)
    return made.eval()


def test_every_shipped_space_with_a_network_has_a_table() -> None:
    """But FasterViT's, whose published code, and so its names, may not be followed by its licence."""
    shipped = [path.stem for path in (Path(__file__).parents[2] / "spaces").glob("*.yaml")]
    for name in shipped:
        space = nas.load_space(name)
        if space.blueprint is None or name.startswith("fastervit"):
            continue
        layers = [layer.name for layer in build(space, space.sample(1, seed=0)[0], seed=None).description]
        assert name in tables() or name == "ofa_mobilenetv3_w12", name
        table_of(name, [layer for layer in layers if "to_" not in layer])


def test_a_networks_file_gives_the_same_network() -> None:
    space = nas.load_space(SPACE)
    initial = initial_of_network(space, space.presets["S0"], "s0.safetensors", "S0")
    again = build(space, space.presets["S0"], num_classes=10, seed=0)
    assert {row.fate for row in initial.put_into(again, as_published=True)} == {"taken"}
    expected = network().state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in again.state_dict().items())


def test_our_images_are_answered_as_theirs_were_but_for_the_border() -> None:
    space = nas.load_space(SPACE)
    initial = initial_of_network(space, space.presets["S0"], "s0.safetensors", "S0")
    theirs, ours = (build(space, space.presets["S0"], num_classes=10, seed=0).eval() for _ in range(2))
    initial.put_into(theirs, as_published=True)
    initial.put_into(ours)
    images = torch.randn(2, 3, 64, 64)
    first = [(net.layers[0], net.description[0].sizes) for net in (theirs, ours)]
    from nas.blocks.ops import Ops

    seen = as_theirs(images, initial.mean, initial.std)
    expected, found = (layer(x, sizes, Ops()) for (layer, sizes), x in zip(first, (seen, images)))
    assert torch.allclose(found[..., 1:, 1:], expected[..., 1:, 1:], atol=1e-4)
    assert not torch.allclose(found, expected, atol=1e-4)


def test_a_supernet_takes_leading_slices_and_keeps_the_rest() -> None:
    space = nas.load_space(SPACE)
    initial = initial_of_supernet(space, "s0.safetensors")
    assert initial.network == "S0"
    supernet, fresh = (Supernet(space, 10, seed=1) for _ in range(2))
    initial.put_into(supernet, as_published=True)
    source = weights_of(network())["S3.4.attention4d"]
    filled, before = (net.layers["S3_4_attention4d"].state_dict() for net in (supernet, fresh))
    assert torch.equal(filled["v_weight"][:, :96], source["v_weight"])
    assert torch.equal(filled["v_weight"][:, 96:], before["v_weight"][:, 96:])
    assert torch.equal(supernet.extract(space.presets["S0"]).state_dict()["layers.0.conv_weight"],
                       network().state_dict()["layers.0.conv_weight"])  # fmt: skip
    deeper = supernet.layers["S1_4_conv_ffn"].state_dict()
    assert all(torch.equal(deeper[name], fresh.layers["S1_4_conv_ffn"].state_dict()[name]) for name in deeper)


def test_wrong_files_are_refused_by_name_and_shape(tmp_path: Path) -> None:
    space = nas.load_space(SPACE)
    with pytest.raises(
        NasError, match=r"not the weights of efficientformer_v2:S1.*'stages.*\(.*They are those of"
    ):
        initial_of_network(space, space.presets["S1"], "s0.safetensors", "S1")
    state = load_file("s0.safetensors")
    state["stages.0.blocks.0.mlp.mid.conv.weight"] = torch.zeros(128, 1, 5, 5)
    save_file(state, tmp_path / "bent.safetensors")
    with pytest.raises(NasError, match=r"bent.*mid.conv.weight' is \(128, 1, 5, 5\) where \(128, 1, 3, 3\)"):
        initial_of_network(space, space.presets["S0"], str(tmp_path / "bent.safetensors"), "S0")
    with pytest.raises(NasError, match="nearest is S0, but"):
        initial_of_supernet(space, str(tmp_path / "bent.safetensors"))
    (tmp_path / "no.safetensors").write_bytes(b"nothing of the kind")
    with pytest.raises(NasError, match="not a safetensors file"):
        read_weights(str(tmp_path / "no.safetensors"))


def test_torchs_own_files_are_read_without_unpickling_code(tmp_path: Path) -> None:
    state = {f"module.{name}": tensor for name, tensor in load_file("s0.safetensors").items()}
    torch.save({"epoch": 3, "state_dict": state}, tmp_path / "plain.pth")
    assert read_weights(str(tmp_path / "plain.pth")).tensors.keys() == load_file("s0.safetensors").keys()
    torch.save({"state_dict": torch.nn.Linear(2, 3)}, tmp_path / "code.pth")
    with pytest.raises(NasError, match="nothing else is unpickled here: it holds more than tensors"):
        read_weights(str(tmp_path / "code.pth"))
    plain = (tmp_path / "plain.pth").read_bytes()
    for content in (b"", b"hi\n", plain[:300]):
        (tmp_path / "cut.pth").write_bytes(content)
        with pytest.raises(NasError, match=r"unpickled here: it .*damaged.*\. Save its state_dict alone"):
            read_weights(str(tmp_path / "cut.pth"))


def test_names_of_a_network_in_parallel_are_read_from_both_kinds_of_file(tmp_path: Path) -> None:
    space, plain = nas.load_space(SPACE), load_file("s0.safetensors")
    state = {f"module.{name}": tensor for name, tensor in plain.items()}
    save_file(state, tmp_path / "wrapped.safetensors")
    torch.save(state, tmp_path / "wrapped.pth")
    for file in ("wrapped.safetensors", "wrapped.pth"):
        assert read_weights(str(tmp_path / file)).tensors.keys() == plain.keys()
        initial = initial_of_network(space, space.presets["S0"], str(tmp_path / file), "S0")
        assert initial.note == f"every name in {file} begins with 'module.', which was taken off"
    assert initial_of_network(space, space.presets["S0"], "s0.safetensors", "S0").note == ""
    asked = ["evaluate", f"{SPACE}:S0", "--init", str(tmp_path / "wrapped.safetensors"), "--limit", "8"]
    answer = CliRunner().invoke(app, [*asked, "--set", "threads=1"])
    assert "begins with 'module.', which was taken off" in answer.stderr, answer.output
    mixed = {**plain, "module.stem.conv1.conv.weight": torch.zeros(1)}
    save_file(mixed, tmp_path / "mixed.safetensors")
    assert read_weights(str(tmp_path / "mixed.safetensors")).tensors.keys() == mixed.keys()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda t: t.index_fill(0, torch.tensor([1]), float("nan")),
            "has [0-9,]+ of [0-9,]+ numbers that are not finite",
        ),
        (lambda t: t * float("inf"), "not finite"),
        (lambda t: t.double() * 1e300, "not finite"),
        (lambda t: t.to(torch.int32), "has numbers of type int32 where weights are floating-point numbers"),
        (lambda t: t > 0, "numbers of type bool"),
    ],
)
def test_numbers_that_are_no_weights_are_refused_by_name(
    tmp_path: Path, change: Callable[[torch.Tensor], torch.Tensor], words: str
) -> None:
    space, state = nas.load_space(SPACE), load_file("s0.safetensors")
    name = "stages.1.blocks.0.mlp.fc1.conv.weight"
    state[name] = change(state[name])
    save_file(state, tmp_path / "bad.safetensors")
    for read in (
        lambda file: initial_of_network(space, space.presets["S0"], file, "S0"),
        lambda file: initial_of_supernet(space, file),
    ):
        with pytest.raises(NasError, match=f"bad.safetensors: '{name}' .*{words}"):
            read(str(tmp_path / "bad.safetensors"))


def test_an_empty_name_of_timms_is_told_what_a_name_looks_like() -> None:
    for text in ("timm:", "timm: "):
        with pytest.raises(NasError, match=r"the name is empty; write timm:NAME .*timm:efficientformer_l1"):
            read_weights(text)


def test_timm_without_a_network_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys
    import types

    def create(name: str, pretrained: bool) -> torch.nn.Module:
        assert pretrained
        raise OSError("no route to host")

    timm = types.ModuleType("timm")
    timm.__dict__.update(__version__="1", is_model=lambda name: name == "known", create_model=create)
    monkeypatch.setitem(sys.modules, "timm", timm)
    with pytest.raises(NasError, match=r"no route to host.*--init FILE"):
        read_weights("timm:known")
    with pytest.raises(NasError, match="no model of that name"):
        read_weights("timm:other")
    timm.__dict__["create_model"] = lambda name, pretrained: torch.nn.Linear(2, 3)
    assert read_weights("timm:known").tensors.keys() == {"weight", "bias"}
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(NasError, match="timm is not installed"):
        read_weights("timm:known")


def test_elasticvits_weights_are_refused_without_their_norm() -> None:
    space = nas.load_space("elasticvit")
    with pytest.raises(NasError, match="joint_norm"):
        initial_of_network(space, space.presets["T1"], "s0.safetensors", "T1")


def test_a_run_begins_with_them_and_is_reproduced_from_them() -> None:
    space = nas.load_space(LITTLE)
    state = timm_state(build(space, space.presets["XS"], num_classes=10, seed=3), space.name)
    save_file(state, "xs.safetensors")
    study = run(
        LITTLE, settings=SMALL, study_name="given", strategy="random", n_trials=2, init="xs.safetensors"
    )
    fact = study.row.facts["init"]
    assert fact["weights"] == "xs.safetensors" and fact["network"] == "XS"
    listed = Path("nas-runs/given/initial-weights.txt").read_text()
    assert "filled in part  stages.2.blocks.0.mlp.fc1.conv.weight" in listed
    assert reproduce(study.storage, study.row, Silent()).same
    state["norm.bias"] += 1
    save_file(state, "xs.safetensors")
    with pytest.raises(NasError, match="began with other weights"):
        reproduce(study.storage, study.row, Silent(), name="more")


def test_a_preset_is_evaluated_and_retrained_from_a_file() -> None:
    options = [part for item in SMALL if not item.startswith("search") for part in ("--set", item)]
    answer = CliRunner().invoke(app, ["evaluate", f"{SPACE}:S0", "--init", "s0.safetensors", "--limit", "8",
                                    "--set", "threads=1", "-f", "json", "-q"])  # fmt: skip
    assert answer.exit_code == 0, answer.output
    assert {row["fate"] for row in json.loads(answer.stdout)["weights"]} == {"taken"}
    done = CliRunner().invoke(app, ["retrain", f"{SPACE}:S0", "--init", "s0.safetensors", "-q", *options])
    assert done.exit_code == 0, done.output
    assert "retrained from s0.safetensors" in done.stdout
    (card,) = Path("nas-runs/efficientformer_v2-S0/retrain").glob("*/retrained.json")
    assert json.loads(card.read_text())["init"]["weights"] == "s0.safetensors"
