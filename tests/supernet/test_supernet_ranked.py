"""Ranked channels: the largest network computes what it did, narrower ones keep the important channels."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from relaxed_samples import arch, largest, operators, shaken
from supernet_samples import tiny

from nas.errors import NasError
from nas.supernet.ranked_channels import rank_channels, shared_channels
from nas.supernet.supernet import Supernet


def test_the_largest_network_computes_the_same(tmp_path: Path) -> None:
    space = operators(tmp_path)
    net = shaken(space)
    images = torch.randn(3, 3, 16, 16, dtype=torch.float64)
    archs = [largest(space), arch(space, "44-", "443-")]
    small = arch(space, "444", "4433", 4, 8)
    with torch.no_grad():
        before = [net(images, a) for a in archs]
        narrow = net(images, small)
        kept = {name: tensor.clone() for name, tensor in net.state_dict().items()}
        rank_channels(net, largest(space))
        moved = [name for name, tensor in net.state_dict().items() if not torch.equal(tensor, kept[name])]
        assert all(torch.allclose(net(images, a), y, atol=1e-9) for a, y in zip(archs, before))
        assert not torch.allclose(net(images, small), narrow, atol=1e-3)
    for part in ("stem_0", "A_1_mb4d.expand_weight", "A_1_mb4d.expand_bn_mean", "B_2_mb3d.q_weight"):
        assert any(part in name for name in moved), part


def test_large_channels_come_first(tmp_path: Path) -> None:
    space = operators(tmp_path)
    net = shaken(space)
    with torch.no_grad():
        for position in range(4):
            net.layers[f"B_{position}_mb4d"].expand_weight[:, 11] *= 50  # type: ignore[index,operator]
        column = net.layers["B_1_mb4d"].expand_weight[:, 11].norm()  # type: ignore[index,union-attr]
    rank_channels(net, largest(space))
    first = net.layers["B_1_mb4d"].expand_weight[:, 0].norm()  # type: ignore[index,union-attr]
    assert torch.allclose(first, column)
    orders = [group.order() for group in shared_channels(net, largest(space))]
    assert all(torch.equal(order, torch.arange(len(order))) for order in orders)


def test_channels_that_are_mixed_with_other_sizes_are_refused(tmp_path: Path) -> None:
    space = tiny(tmp_path)
    with pytest.raises(NasError, match="cannot be ranked"):
        rank_channels(Supernet(space, 4), space.sample(1, seed=0)[0])
