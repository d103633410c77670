"""Drop path: blocks left out of a pass, for the whole batch, by the sampler's generator."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from relaxed_samples import arch, operators, shaken

from nas.space import load_space
from nas.supernet.relaxed import Relaxed
from nas.supernet.sampling.simple import SandwichSampler
from nas.supernet.thinned import Thinned, droppable

V2 = Path(__file__).parents[2] / "spaces" / "efficientformer_v2.yaml"


def test_what_may_be_dropped(tmp_path: Path) -> None:
    space = operators(tmp_path)
    assert droppable(space, arch(space, "444", "4444")) == ["A.1", "A.2", "B.1", "B.2", "B.3"]
    assert droppable(space, arch(space, "444", "4333")) == ["A.1", "A.2", "B.2"]


def test_a_dropped_block_is_identity(tmp_path: Path) -> None:
    space = operators(tmp_path)
    net = shaken(space)
    images = torch.randn(2, 3, 16, 16, dtype=torch.float64)
    whole = arch(space, "444", "4444")
    noise = {"A": np.zeros((3, 2)), "B": np.zeros((4, 3))}
    noise["A"][:, 1] = noise["B"][:, 1] = 1e4
    noise["A"][1] = [1e4, 0]
    noise["B"][2] = [1e4, 0, 0]
    with torch.no_grad():
        expected = net(images, Relaxed(whole, noise, 1.0))
        assert torch.allclose(net(images, Thinned(whole, frozenset({"A.1", "B.2"}))), expected, atol=1e-10)
        assert torch.equal(net(images, Thinned(whole, frozenset())), net(images, whole))


def test_the_sandwich_thins_its_largest_at_the_given_rate() -> None:
    space = load_space(V2)
    sampler = SandwichSampler(space, 4, np.random.default_rng(0), drop_path=0.25)
    places = droppable(space, sampler.largest)
    assert len(places) == 5 + 5 + 15 + 10 - 4
    drawn = [sampler.draw(step, 100) for step in range(100)]
    assert [subnet.role for subnet in drawn[0]] == ["largest", "explored", "explored", "minimum"]
    thinned = [subnets[0].network for subnets in drawn]
    rates = [sum(place in network.dropped for network in thinned) / 100 for place in places]  # type: ignore[union-attr]
    assert abs(np.mean(rates) - 0.25) < 0.03 and min(rates) > 0
    assert all(subnet.network is None for subnets in drawn for subnet in subnets[1:])
    again = SandwichSampler(space, 4, np.random.default_rng(0), drop_path=0.25)
    assert [again.draw(step, 100)[0].network for step in range(100)] == thinned
