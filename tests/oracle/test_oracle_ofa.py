"""Networks with a Once-for-all supernet's weights answer as the authors' subnets do, in float64."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import torch
from comparing import CLOSE, apart
from ofa_beside import OnceForAll

import nas
from nas.space.batch import Arch
from nas.space.space import Space
from nas.supernet.deploy import deployed
from nas.supernet.network import build
from nas.supernet.supernet import Supernet
from nas.weights.initial import initial_of_network, initial_of_supernet

pytestmark = pytest.mark.oracle
STAGES, MOST = 5, 4
SPACES = {1.0: "ofa_mobilenetv3", 1.2: "ofa_mobilenetv3_w12"}


def drawn(seed: int, side: int) -> dict[str, Any]:
    """A subnet as the authors' code is told of it: a kernel and an expansion for each of twenty blocks."""
    rng, blocks = random.Random(seed), range(STAGES * MOST)
    kernels, expansions = ([rng.choice(values) for _ in blocks] for values in ((3, 5, 7), (3, 4, 6)))
    return {"ks": kernels, "e": expansions, "d": [rng.choice((2, 3, 4)) for _ in range(STAGES)], "side": side}


def ours(space: Space, theirs: dict[str, Any]) -> Arch:
    """The same as an arch of the space."""
    values: dict[str, Any] = {"resolution": theirs["side"]}
    for stage in range(STAGES):
        depth = values[f"S{stage + 1}.depth"] = theirs["d"][stage]
        for position in range(depth):
            at = stage * MOST + position
            values[f"S{stage + 1}.kernel[{position}]"] = theirs["ks"][at]
            values[f"S{stage + 1}.expansion[{position}]"] = theirs["e"][at]
    return space.encode([values])[0]


@pytest.mark.parametrize(("width", "names"), [(1.0, "new"), (1.2, "old")])
def test_any_subnet_of_the_supernet_answers_as_theirs(
    width: float, names: str, ofa: OnceForAll, tmp_path: Path
) -> None:
    space = nas.load_space(SPACES[width])
    ofa.supernet(width, tmp_path / "supernet.pth", names)
    supernet = Supernet(space, seed=0).double().eval()
    initial = initial_of_supernet(space, str(tmp_path / "supernet.pth"))
    rows = initial.put_into(supernet, as_published=True)
    assert {row.fate for row in rows} == {"taken"} and initial.classes == 1000
    answers = []
    for seed, side in enumerate((160, 164, 192, 224)):
        told = drawn(seed, side)
        images, expected = ofa.answer(told, tmp_path / "answer.safetensors")
        arch = ours(space, told)
        network = supernet.extract(arch).eval()
        with torch.no_grad():
            assert apart(supernet(images, arch), expected) < CLOSE
            assert apart(deployed(network)(images), expected) < CLOSE
        answers.append(expected)
    assert min(apart(answers[0], other) for other in answers[1:]) > 100 * CLOSE


def test_a_network_is_cut_out_of_their_supernet(ofa: OnceForAll, tmp_path: Path) -> None:
    space = nas.load_space(SPACES[1.0])
    ofa.supernet(1.0, tmp_path / "supernet.pth")
    told = drawn(9, 128)
    images, expected = ofa.answer(told, tmp_path / "answer.safetensors")
    arch = ours(space, told)
    network = build(space, arch, seed=0).double().eval()
    rows = initial_of_network(space, arch, str(tmp_path / "supernet.pth")).put_into(
        network, as_published=True
    )
    assert {row.fate for row in rows} == {"taken"}
    with torch.no_grad():
        assert apart(network(images), expected) < CLOSE
