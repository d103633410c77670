"""Every kind of unit, run through the conformance suite at random sizes."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from block_sizes import SIZES, draw_sizes
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.blocks.elastic import Elastic
from nas.blocks.ops import Ops
from nas.blocks.registry import UNITS
from nas.testing.blocks import CHECKS, check_batch, check_block


def test_every_unit_is_tested_with_all_its_sizes() -> None:
    assert {kind: set(sizes) for kind, sizes in SIZES.items()} == {k: set(u.keys) for k, u in UNITS.items()}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("kind", SIZES)
def test_counting_equals_running(kind: str, check: object) -> None:
    @given(data=st.data())
    @settings(max_examples=15, deadline=None)
    def run(data: st.DataObject) -> None:
        check(UNITS[kind], draw_sizes(kind, data))  # type: ignore[operator]

    run()


@pytest.mark.parametrize("kind", SIZES)
@given(data=st.data())
@settings(max_examples=8, deadline=None)
def test_arrays_and_numbers_agree(kind: str, data: st.DataObject) -> None:
    check_batch(UNITS[kind], [draw_sizes(kind, data) for _ in range(6)])


@pytest.mark.parametrize("kind", sorted(set(UNITS) - {"unroll", "reroll", "unit_attention"}))
def test_the_suite_finds_sizes_by_itself(kind: str) -> None:
    check_block(UNITS[kind], count=4)


def test_a_table_of_offsets_counted_on_the_meta_device_still_runs_on_the_cpu() -> None:
    """The cache of offsets must not hand a tensor without data from one device to another."""
    sizes = {"h": 11, "w": 13, "channels": 2, "heads": 1, "qk_dim": 1, "v_dim": 1, "act": 1, "norm": 0}
    unit = UNITS["attention"]
    row = {key: np.array([value]) for key, value in sizes.items()}
    with torch.device("meta"):
        Elastic(unit, row)(torch.zeros(1, 143, 2), sizes, Ops())
    assert Elastic(unit, row, torch.Generator())(torch.zeros(1, 143, 2), sizes, Ops()).isfinite().all()


def test_counting_and_lowering_import_no_torch() -> None:
    program = (
        "import sys, nas; from nas.costs import cost; space = nas.load_space('efficientformer_v2');"
        "cost(space, space.sample(3, seed=0)), cost(space, space.presets['S0']); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
