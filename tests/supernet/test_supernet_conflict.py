"""Cosines between gradients against the definition, written out over flat vectors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from supernet_samples import shaken, tiny

from nas.space.batch import Arch
from nas.supernet.conflict import gradient_cosine, gradient_cosines
from nas.supernet.supernet import Supernet


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Supernet:
    return shaken(tiny(tmp_path_factory.mktemp("space"))).train()


def _images() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(6, 3, 24, 24, generator=generator).double(), torch.tensor([0, 1, 2, 3, 0, 1])


def _flat(net: Supernet, arch: Arch) -> np.ndarray:
    net.zero_grad(set_to_none=True)
    images, labels = _images()
    F.cross_entropy(net(images, arch, momentum=0.0), labels).backward()
    return np.concatenate(
        [np.zeros(p.numel()) if p.grad is None else p.grad.flatten().numpy() for p in net.parameters()]
    )


def test_cosines_of_all_pairs_are_those_over_the_weights_that_both_use(net: Supernet) -> None:
    archs = list(net.space.sample(4, seed=5))
    found = gradient_cosines(net, *_images(), archs)
    flat = [_flat(net, arch) for arch in archs]
    for i in range(4):
        for j in range(4):
            both = (flat[i] != 0) & (flat[j] != 0)
            a, b = flat[i][both], flat[j][both]
            assert found[i, j] == pytest.approx(a @ b / np.sqrt((a @ a) * (b @ b)), abs=1e-5)
    assert np.array_equal(found, found.T)
    assert -0.99 < found[np.triu_indices(4, 1)].min() < 0.99


def test_a_pair_is_a_batch_of_two_and_nothing_is_left_behind(net: Supernet) -> None:
    a, b = net.space.sample(2, seed=8)
    before = [buffer.clone() for buffer in net.buffers()]
    assert gradient_cosine(net, *_images(), a, b) == gradient_cosines(net, *_images(), (a, b))[1, 0]
    assert gradient_cosine(net, *_images(), a, a) == pytest.approx(1.0, abs=1e-5)
    assert all(torch.equal(now, then) for now, then in zip(net.buffers(), before))
    assert all(p.grad is None for p in net.parameters())
