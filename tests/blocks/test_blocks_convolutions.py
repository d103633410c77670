"""Convolutions of other families: patches by even kernels, and branches that fuse only where they fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from nas.arith import Num
from nas.blocks.base import Field, Unit, width
from nas.blocks.counting import describe, macs
from nas.blocks.layouts import Interface
from nas.blocks.operations import Operations
from nas.blocks.ops import Ops
from nas.blocks.sizes import Sizes
from nas.errors import NasError
from nas.testing import check_block
from nas.testing.blocks import example, static


class Patches(Unit):
    """ConvNeXt's downsampling: patches without overlap, with an even kernel or an odd one, and their norm."""

    kind = "test_patches"
    fields = {"width": width(), "side": Field(default=2, high=4)}
    keys = ("h", "w", "cin", "cout", "side")

    @classmethod
    def sizes(cls, inp: Interface, f: Sizes) -> Mapping[str, Num]:
        return {"h": inp.h * f.side, "w": inp.w * f.side + f.side - 1}

    @classmethod
    def out(cls, inp: Interface, s: Sizes) -> Interface:
        return inp.with_(channels=s.cout, h=s.h // s.side, w=s.w // s.side)

    @classmethod
    def forward(cls, x: Any, s: Sizes, ops: Operations) -> Any:
        return ops.conv_norm("patches", x, s.cout, s.side, s.side, padding=0)


def test_patches_fold_and_count_like_any_convolution() -> None:
    check_block(Patches, count=12)
    sizes = {"h": 8, "w": 6, "cin": 3, "cout": 5, "side": 2}
    assert macs(Patches, sizes) == 4 * 3 * 5 * 3 * 4
    deployed = describe(Patches, sizes).cases[0]
    assert [k.op for k in deployed.kernels] == ["conv"] and set(deployed.weights) == {
        "patches_weight",
        "patches_bias",
    }


def test_patches_are_pytorchs() -> None:
    sizes = {"h": 9, "w": 7, "cin": 3, "cout": 5, "side": 2}
    layer = static(Patches, sizes, torch.Generator().manual_seed(0)).eval()
    x = example(Patches, sizes, 2)
    expected = F.conv2d(x, layer.patches_weight, stride=2) / (1 + 1e-5) ** 0.5
    with torch.no_grad():
        torch.testing.assert_close(layer(x, sizes, Ops()), expected, rtol=1e-5, atol=1e-6)


def _block(kind: str, forward: Callable[[Any, Sizes, Operations], Any]) -> type[Unit]:
    keys = ("h", "w", "channels")
    return type(kind, (Unit,), {"kind": kind, "keys": keys, "forward": staticmethod(forward)})


@pytest.mark.parametrize("padding", [0, 1, 2])
def test_a_pointwise_convolution_heeds_its_padding(padding: int) -> None:
    """Small maps take the way of a matrix product, which pads nothing."""
    unit = _block("test_pad", lambda x, s, ops: ops.conv("a", x, s.channels, padding=padding))
    sizes = {"h": 1, "w": 1, "channels": 2}
    layer = static(unit, sizes, torch.Generator().manual_seed(0))
    for ops in (Ops(), Ops(training=True)):
        out = layer(example(unit, sizes, 2), sizes, ops)
        assert (
            tuple(out.shape[1:])
            == describe(unit, sizes).cases[0].out
            == (2, 1 + 2 * padding, 1 + 2 * padding)
        )


@pytest.mark.parametrize(
    ("forward", "words"),
    [
        (
            lambda x, s, ops: ops.conv_norm("a", x, 8, 2, 2),
            "'a': a kernel of 2 is even.*say the padding: padding=0",
        ),
        (
            lambda x, s, ops: ops.conv_norm("a", x, 8, 4, 4, padding=0),
            "a kernel of 4 finds no place on 4×2×3",
        ),
        (
            lambda x, s, ops: ops.rep_conv("a", x, 1, (3, 1), identity=True),
            "'a': identity=True adds 4 channels to 1; add the input only where they are as many",
        ),
        (
            lambda x, s, ops: ops.rep_conv("a", ops.conv("b", x, 1), 4, (3, 1), identity=True),
            "'a': identity=True adds 1 channels to 4",
        ),
        (
            lambda x, s, ops: ops.rep_conv("a", x, 4, (3, 1), 3, identity=True),
            "'a': identity=True adds the input to what a stride of 3 made smaller",
        ),
    ],
)
def test_a_convolution_that_cannot_be_says_what_would_be_right(
    forward: Callable[[Any, Sizes, Operations], Any], words: str
) -> None:
    unit = _block("test_room", forward)
    sizes = {"h": 2, "w": 3, "channels": 4}
    for given in (sizes, {key: np.array([size, size]) for key, size in sizes.items()}):
        with pytest.raises(NasError, match=words):
            describe(unit, given)


def test_a_batch_adds_the_input_where_it_fits() -> None:
    """Layers of a batch that differ in it take branches of their own."""

    class Chosen(Unit):
        kind = "test_chosen"
        keys = ("h", "w", "cin", "cout")

        @classmethod
        def forward(cls, x: Any, s: Sizes, ops: Operations) -> Any:
            return ops.rep_conv("a", x, s.cout, (3, 1), identity=bool(s.cin == s.cout))

    rows = [{"h": 4, "w": 5, "cin": cin, "cout": cout} for cin, cout in ((3, 3), (4, 1), (1, 4), (2, 2))]
    check_block(Chosen, rows)
