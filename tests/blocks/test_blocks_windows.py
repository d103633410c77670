"""Operations that cut maps into parts: windows, patches, ReLU attention, TensorFlow's padding."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from nas.blocks.base import Field, Unit
from nas.blocks.elastic import Elastic
from nas.blocks.operations import Operations
from nas.blocks.ops import Ops
from nas.blocks.sizes import Sizes
from nas.testing import check_block
from nas.testing.blocks import example, static


class Windowed(Unit):
    """Attention with a bias in windows, whose queries are convolved there."""

    kind = "windowed"
    fields = {"window": Field(default=3, high=5), "heads": Field(default=1, high=3)}
    keys = ("h", "w", "channels", "window", "heads")

    @classmethod
    def forward(cls, x: Any, s: Sizes, ops: Operations) -> Any:
        bias = ops.distance_bias("bias", s.heads, s.window, s.window)

        def attend(window: Any) -> Any:
            q = ops.conv_norm("q", ops.conv("near", window, 2 * s.heads), 2 * s.heads, 3, depthwise=True)
            k, v = ops.conv("k", window, 2 * s.heads), ops.conv("v", window, 3 * s.heads)
            y = ops.weigh_map(v, ops.softmax(ops.scores(q, k, s.heads, bias)), s.window, s.window)
            return ops.conv("out", y, s.channels)

        return x + ops.in_windows(attend, [x], [(s.window, s.window)])


class Carried(Unit):
    """Windows of two maps at once: each hears of its own pixel of a coarse map, and answers to it."""

    kind = "carried"
    fields = {"window": Field(default=3, high=4)}
    keys = ("h", "w", "channels", "window")

    @classmethod
    def forward(cls, x: Any, s: Sizes, ops: Operations) -> Any:
        down, across = (s.h + s.window - 1) // s.window, (s.w + s.window - 1) // s.window
        coarse = ops.resize(ops.conv("coarse", x, s.channels), down, across)
        both = ops.in_windows(
            lambda fine, one: [fine * one, ops.conv("back", one, s.channels) + ops.mean(fine, keep=True)],
            [x, coarse],
            [(s.window, s.window), (1, 1)],
        )
        return both[0] + ops.resize(both[1], s.h, s.w)


class Linear(Unit):
    """ReLU attention of all pixels."""

    kind = "linear_test"
    fields = {"heads": Field(default=1, high=3), "dim": Field(default=2, high=5)}
    keys = ("h", "w", "channels", "heads", "dim")
    quadratic = False

    @classmethod
    def forward(cls, x: Any, s: Sizes, ops: Operations) -> Any:
        qkv = ops.conv("qkv", x, 3 * s.heads * s.dim)
        return x + ops.conv("out", ops.relu_attention(qkv, s.heads, quadratic=cls.quadratic), s.channels)


class Pairs(Linear):
    """The same by pairs."""

    kind = "pairs_test"
    quadratic = True


class Patched(Unit):
    """Softmax over the places of a patch's pixels, one layer norm of all, and back."""

    kind = "patched"
    keys = ("h", "w", "channels")

    @classmethod
    def forward(cls, x: Any, s: Sizes, ops: Operations) -> Any:
        y = ops.to_patches(ops.resize(x, 2 * s.h, 2 * s.w, corners=True), 2)
        share = ops.softmax(ops.conv("share", ops.map_norm("norm", y), 1))
        y = ops.total(share * y) * y
        return x + ops.resize(ops.from_patches(y, 2 * s.h, 2 * s.w, 2), s.h, s.w)


@pytest.mark.parametrize("unit", [Windowed, Carried, Linear, Pairs, Patched])
def test_counting_equals_running(unit: type[Unit]) -> None:
    check_block(unit, count=25)


def drawn(unit: type[Unit], sizes: dict[str, int]) -> tuple[Elastic, Tensor]:
    layer = static(unit, sizes, torch.Generator().manual_seed(0)).double().eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for tensor in layer.state_dict().values():
            tensor.copy_(torch.rand(tensor.shape, generator=generator, dtype=torch.float64) + 0.1)
    x = example(unit, sizes, 2, torch.float64)
    assert isinstance(x, Tensor)
    return layer, x


def test_windows_are_those_cut_out_one_by_one() -> None:
    sizes = {"h": 7, "w": 5, "channels": 4, "window": 3, "heads": 2}
    layer, x = drawn(Windowed, sizes)
    with torch.no_grad():
        got = layer(x, sizes, Ops())
        wide = F.pad(x, (0, 1, 0, 2))
        expected = torch.zeros_like(wide)
        one = {**sizes, "h": 3, "w": 3}
        for top in range(0, 9, 3):
            for left in range(0, 6, 3):
                here = slice(None), slice(None), slice(top, top + 3), slice(left, left + 3)
                expected[here] = layer(wide[here], one, Ops())
    torch.testing.assert_close(got, expected[:, :, :7, :5], rtol=1e-12, atol=0)


def test_relu_attention_is_the_same_by_pairs() -> None:
    sizes = {"h": 4, "w": 3, "channels": 4, "heads": 2, "dim": 3}
    layer, x = drawn(Linear, sizes)
    pairs = static(Pairs, sizes).double()
    pairs.load_state_dict(layer.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(layer(x, sizes, Ops()), pairs(x, sizes, Ops()), rtol=1e-12, atol=0)
        qkv = F.conv2d(x, layer.qkv_weight).flatten(2)
        for head, (q, k, v) in enumerate(qkv.split(3, 1)[i : i + 3] for i in (0, 3)):
            weights = F.relu(q).transpose(1, 2) @ F.relu(k)
            y = (weights / (weights.sum(2, keepdim=True) + 1e-15)) @ v.transpose(1, 2)
            ours = Ops().relu_attention(qkv.unflatten(2, (4, 3)), 2, quadratic=False)
            close = {"rtol": 1e-12, "atol": 1e-12}
            torch.testing.assert_close(
                ours[:, 3 * head : 3 * head + 3].flatten(2), y.transpose(1, 2), **close
            )


def test_patches_hold_the_pixels_of_one_place_together() -> None:
    x = torch.arange(24.0).view(1, 1, 4, 6)
    patches = Ops().to_patches(x, 2)
    assert patches.shape == (1, 1, 4, 6)
    for place, (top, left) in enumerate([(0, 0), (0, 1), (1, 0), (1, 1)]):
        assert patches[0, 0, place].tolist() == x[0, 0, top::2, left::2].flatten().tolist()
    assert torch.equal(Ops().from_patches(patches, 4, 6, 2), x)


@pytest.mark.parametrize(
    ("side", "kernel", "stride"), [(8, 3, 2), (7, 3, 2), (8, 5, 2), (9, 7, 3), (6, 1, 2)]
)
def test_padding_at_the_far_sides(side: int, kernel: int, stride: int) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1, 2, side, side, generator=generator, dtype=torch.float64)
    weight = torch.randn(3, 2, kernel, kernel, generator=generator, dtype=torch.float64)
    got = Ops().bind({"c_weight": weight}).conv("c", x, 3, kernel, stride, far=1)
    count = -(-side // stride)
    over = max((count - 1) * stride + kernel - side, 0)
    for i in range(count):
        for j in range(count):  # pixel by pixel, from `over // 2` before the map
            total = torch.zeros(3, dtype=torch.float64)
            for a in range(kernel):
                for b in range(kernel):
                    y, z = i * stride + a - over // 2, j * stride + b - over // 2
                    if 0 <= y < side and 0 <= z < side:
                        total += weight[:, :, a, b] @ x[0, :, y, z]
            torch.testing.assert_close(got[0, :, i, j], total, rtol=1e-12, atol=1e-12)
