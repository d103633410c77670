"""ElasticViT's networks with a supernet's weights under the authors' names answer as the restatement of theirs does."""

from __future__ import annotations

import elasticvit_restated as theirs
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

import nas
from nas.content import find
from nas.space.batch import Arch
from nas.space.space import Space
from nas.supernet.network import build
from nas.supernet.supernet import Supernet
from nas.weights.initial import initial_of_network, initial_of_supernet

pytestmark = pytest.mark.oracle
CLOSE = 1e-12


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Space:
    """The space with the norm of the published networks, as docs/weights.md says to write it."""
    block = "    block: transformer\n"
    text = find("spaces", "elasticvit").read_text()
    file = tmp_path_factory.mktemp("space") / "elasticvit_joint.yaml"
    file.write_text(text.replace(block, f"{block}    norm: joint_norm\n"))
    return nas.load_space(file)


@pytest.fixture(scope="module")
def largest(space: Space) -> Arch:
    return space.encode([{decision.name: decision.values[-1] for decision in space.decisions}])[0]


@pytest.fixture(scope="module")
def weights(largest: Arch) -> theirs.Weights:
    return theirs.supernet(largest.values)


@pytest.fixture(scope="module")
def file(weights: theirs.Weights, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file of a supernet's weights."""
    path = tmp_path_factory.mktemp("weights") / "supernet.safetensors"
    save_file(weights, path)
    return str(path)


def images(resolution: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 3, resolution, resolution, generator=generator, dtype=torch.float64)


def apart(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().max() / b.abs().max())


@pytest.mark.parametrize("preset", ["T1", "T2"])
def test_a_preset_cut_out_of_their_supernet_answers_as_theirs(
    preset: str, space: Space, weights: theirs.Weights, file: str
) -> None:
    arch = space.presets[preset]
    network = build(space, arch, num_classes=theirs.CLASSES, seed=0).double().eval()
    rows = initial_of_network(space, arch, file, preset).put_into(network, as_published=True)
    assert {row.fate for row in rows} == {"taken"}
    x = images(int(arch.values["resolution"]))
    with torch.no_grad():
        expected = theirs.answer(weights, arch.values, x)
        assert apart(network(x), expected) < CLOSE
        assert apart(expected[:1], expected[1:]) > 1e-4  # the images matter to these weights


def test_a_whole_supernets_largest_network_answers_as_theirs_and_smaller_ones_do_not(
    space: Space, largest: Arch, weights: theirs.Weights, file: str
) -> None:
    supernet = Supernet(space, theirs.CLASSES, seed=0).double().eval()
    rows = initial_of_supernet(space, file).put_into(supernet, as_published=True)
    assert {row.fate for row in rows} == {"taken"}
    x, top = images(256), largest.values
    with torch.no_grad():
        assert apart(supernet(x, largest), theirs.answer(weights, top, x)) < CLOSE
        x, changed = images(128), {"C1.kernel": 3, "C2.width": 40, "T1.mlp_ratio": 2, "T4.depth": 1}
        lower = space.encode([{**top, "resolution": 128, **changed}])[0]
        assert apart(supernet(x, lower), theirs.answer(weights, lower.values, x)) < CLOSE
        for name, value in (("T3.v_scale", 3), ("T4.width", 304)):
            other = space.encode([{**top, "resolution": 128, name: value}])[0]
            assert apart(supernet(x, other), theirs.answer(weights, other.values, x)) > 1e-3
