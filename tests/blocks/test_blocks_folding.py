"""Every unit computes the same with the weights of its deployed form, which holds no batch norm."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from block_sizes import SIZES, draw_sizes, unit_input
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.blocks.elastic import Elastic
from nas.blocks.ops import Ops
from nas.blocks.registry import UNITS

UNFOLDED = {"pool_scale"}  # no projection stands before it


@pytest.mark.parametrize("kind", SIZES)
@given(data=st.data())
@settings(max_examples=10, deadline=None)
def test_folded_weights_compute_the_same(kind: str, data: st.DataObject) -> None:
    unit, sizes = UNITS[kind], draw_sizes(kind, data)
    generator = torch.Generator().manual_seed(0)
    layer = Elastic(unit, {key: np.array([value]) for key, value in sizes.items()}, generator).double()
    whole = {
        name: torch.rand(tensor.shape, generator=generator, dtype=torch.float64) + 0.1
        for name, tensor in layer.state_dict().items()
    }
    x = unit_input(unit, sizes, batch=2).double()
    before = {name: tensor.clone() for name, tensor in whole.items()}
    folded = unit.folded(whole)
    expected = unit.forward(x, whole, sizes, Ops())
    assert (unit.forward(x, folded, sizes, Ops()) - expected).abs().max() <= 1e-9 * expected.abs().max()
    assert all(torch.equal(whole[name], tensor) for name, tensor in before.items())
    left = {n for n in folded if n.endswith(("_mean", "_var", "_scale")) or "bn" in n}
    assert left <= UNFOLDED
