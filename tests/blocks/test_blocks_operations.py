"""Blocks that families to come are made of, in a few lines each, through the conformance suite: branches that fuse, a
cascade over heads with a kernel each, grouped convolutions, positions by a network, norms before linear layers."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from nas.arith import Num, Traced, ceil_div
from nas.blocks.base import Field, Unit, act
from nas.blocks.counting import describe, macs, params
from nas.blocks.layouts import TOKENS, Interface, Layout
from nas.blocks.operations import Operations
from nas.blocks.ops import Ops
from nas.blocks.per_head import at, pack
from nas.blocks.sizes import Sizes
from nas.errors import NasError
from nas.testing import check_block
from nas.testing.blocks import example, static


class Branches(Unit):
    """RepViT's token mixer: 3×3 and 1×1 depth-wise, identity, a norm behind the sum; grouped ones behind it."""

    kind = "test_branches"
    fields = {"groups": Field(default=1, high=3)}
    keys = ("h", "w", "channels", "groups")

    @classmethod
    def out(cls, inp: Interface, s: Sizes) -> Interface:
        return inp.with_(channels=s.channels * s.groups, h=ceil_div(s.h, 2), w=ceil_div(s.w, 2))

    @classmethod
    def forward(cls, x: Any, s: Sizes, ops: Operations) -> Any:
        y = ops.rep_conv("mix", x, s.channels, (3, 1), depthwise=True, identity=True, norm=True)
        wide = s.channels * s.groups
        y = ops.rep_conv("widen", y, wide, (1, 1, 5), 2)
        return ops.rep_conv("group", y, wide, (3,), groups=s.groups, identity=True)


class Cascade(Unit):
    """Cascaded group attention: a head reads its share of the channels and what the head before gave."""

    kind = "test_cascade"
    fields = {
        "heads": Field(default=2, high=3),
        "qk_dim": Field(default=4, high=6),
        "kernels": Field(default=3, odd=True, high=7, heads="heads"),
    }
    keys = ("h", "w", "channels", "heads", "qk_dim", "kernels")

    @classmethod
    def sizes(cls, inp: Interface, f: Sizes) -> Mapping[str, Num]:
        return {"channels": inp.channels * f.heads}

    @classmethod
    def forward(cls, x: Any, s: Sizes, ops: Operations) -> Any:
        given, outs = None, []
        for head, y in enumerate(ops.chunk(x, s.heads)):
            y = y if given is None else y + given
            q = ops.conv_norm(f"q{head}", y, s.qk_dim)
            q = q + ops.conv_norm(f"local{head}", q, s.qk_dim, at(s.kernels, head), depthwise=True)
            k, v = ops.conv_norm(f"k{head}", y, s.qk_dim), ops.conv_norm(f"v{head}", y, s.channels // s.heads)
            weights = ops.softmax(ops.scores(q, k, 1, ops.distance_bias(f"bias{head}", 1, s.h, s.w)))
            given = ops.weigh_map(v, weights, s.h, s.w)
            outs.append(given)
        return x + ops.conv_norm("project", ops.act(ops.concat(outs), 1), s.channels, scale=True)


class Windows(Unit):
    """Attention with a bias from a network of offsets, without a bias in fp32, and gates; on tokens."""

    kind = "test_windows"
    takes: ClassVar[Layout] = TOKENS
    fields = {"heads": Field(default=2, high=3), "act": act("gelu")}
    keys = ("h", "w", "channels", "heads", "act")

    @classmethod
    def sizes(cls, inp: Interface, f: Sizes) -> Mapping[str, Num]:
        return {"channels": inp.channels * f.heads}

    @classmethod
    def forward(cls, x: Any, s: Sizes, ops: Operations) -> Any:
        y = ops.token_norm("norm", x, eps=1e-3)
        q, k, v = (ops.linear(name, y, s.channels, bias=False) for name in "qkv")
        bias = ops.offset_network("positions", s.heads, s.h, s.w, hidden=8)
        x = x + ops.weigh(v, ops.softmax(ops.scores(q, k, s.heads, bias)))
        plain = ops.full_precision(lambda q, k: ops.softmax(ops.scores(q, k, s.heads)), q, k)
        y = ops.weigh(ops.linear_norm("w", x, s.channels, bias=False), plain)
        return x * ops.gate(ops.act(ops.linear_scale("gate", y, s.channels), s.act), "sigmoid")


class NormedHead(Unit):
    """A norm before a linear layer, as LeViT's and RepViT's classifiers have, with and without a mean between."""

    kind = "test_normed_head"
    keys = ("h", "w", "channels", "classes")

    @classmethod
    def forward(cls, x: Any, s: Sizes, ops: Operations) -> Any:
        y = ops.mean(ops.batch_norm("first", x, foldable=True, eps=1e-3))
        y = ops.linear("hidden", y, s.classes + 1)
        y = ops.batch_norm("second", y, foldable=True)
        return ops.mean_linear(("classes", "distilled", "third"), y, s.classes)


UNITS: list[type[Unit]] = [Branches, Cascade, Windows, NormedHead]


def _rows(unit: type[Unit]) -> list[dict[str, int]]:
    rng = np.random.default_rng(0)
    rows = []
    for _ in range(8):
        h, w, heads, groups = (int(n) for n in rng.integers(1, (8, 8, 4, 4)))
        row = {"h": h, "w": w, "channels": heads * int(rng.integers(1, 5)), "heads": heads, "groups": groups}
        row |= {"qk_dim": int(rng.integers(1, 6)), "act": int(rng.integers(0, 5)), "classes": 3}
        row["kernels"] = pack([int(k) for k in rng.choice([1, 3, 5, 7], 3)], heads)
        rows.append({key: row[key] for key in unit.keys})
    return rows


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.kind)
def test_the_suite_holds(unit: type[Unit]) -> None:
    check_block(unit, _rows(unit))


@pytest.mark.parametrize("unit", [Branches, Windows, NormedHead], ids=lambda unit: unit.kind)
def test_the_suite_finds_sizes_by_itself(unit: type[Unit]) -> None:
    check_block(unit, count=5)


def test_a_fused_branch_block_is_one_convolution() -> None:
    sizes = {"h": 6, "w": 6, "channels": 4, "groups": 1}
    deployed = describe(Branches, sizes).cases[0]
    assert [k.op for k in deployed.kernels] == ["depthwise", "conv", "conv"]
    assert {name: w.shape for name, w in deployed.weights.items() if name.startswith("mix")} == {
        "mix_weight": (4, 1, 3, 3),
        "mix_bias": (4,),
    }
    assert params(Branches, sizes, "train") > params(Branches, sizes) == 4 * 10 + 4 * 101 + 4 * 37


def test_a_network_of_positions_becomes_its_table() -> None:
    sizes = {"h": 3, "w": 4, "channels": 4, "heads": 2, "act": 1}
    shapes = {name: w.shape for name, w in describe(Windows, sizes).cases[0].weights.items()}
    assert shapes["positions"] == (2, 5, 7) and not any("hidden" in name for name in shapes)


def test_positions_of_a_network_follow_the_offsets() -> None:
    """Equal offsets have equal biases, mirrored ones of a linear network do not."""
    from nas.blocks.ops import offset_table

    generator = torch.Generator().manual_seed(0)
    parts = {
        "p_hidden_weight": torch.randn(8, 2, generator=generator, dtype=torch.float64),
        "p_hidden_bias": torch.randn(8, generator=generator, dtype=torch.float64),
        "p_heads_weight": torch.randn(2, 8, generator=generator, dtype=torch.float64),
    }
    bias = Ops().bind(parts).offset_network("p", 2, 3, 4)
    table = offset_table(parts, "p", 3, 4)
    for i in range(12):
        for j in range(12):
            dy, dx = i // 4 - j // 4, i % 4 - j % 4
            logs = [np.sign(d) * np.log2(1 + 8 * abs(d) / side) / 3 for d, side in ((dy, 2), (dx, 3))]
            hidden = F.relu(parts["p_hidden_weight"] @ torch.tensor(logs) + parts["p_hidden_bias"])
            expected = 16 * (parts["p_heads_weight"] @ hidden).sigmoid()
            torch.testing.assert_close(bias[:, i, j], expected)
            torch.testing.assert_close(table[:, dy + 2, dx + 3], expected)


def test_an_island_of_full_precision_under_autocast() -> None:
    sizes = {"h": 2, "w": 3, "channels": 4, "heads": 2, "act": 1}
    layer = static(Windows, sizes, torch.Generator().manual_seed(0))
    seen = []

    class Watching(Ops):
        def full_precision(self, function: Any, *tensors: Any) -> Any:
            def watched(*wide: Any) -> Any:
                result = function(*wide)
                seen.append((wide[0].dtype, result.dtype))
                return result

            return super().full_precision(watched, *tensors)

    x = example(Windows, sizes, 1)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert layer(x, sizes, Watching()).dtype in (torch.float32, torch.bfloat16)
        layer.to(torch.bfloat16)(x.bfloat16(), sizes, Watching())
    assert seen == [(torch.float32, torch.float32)] * 2


class _Doubled(NormedHead):
    kind = "test_doubled"

    @classmethod
    def forward(cls, x: Any, s: Sizes, ops: Operations) -> Any:
        return ops.linear("a", ops.linear("a", ops.mean(x), 3), 3)


class _NotFolded(NormedHead):
    kind = "test_not_folded"

    @classmethod
    def forward(cls, x: Any, s: Sizes, ops: Operations) -> Any:
        return ops.linear("a", ops.mean(ops.act(ops.batch_norm("n", x, foldable=True), 1)), 3)


class _NoBias(NormedHead):
    kind = "test_no_bias"

    @classmethod
    def forward(cls, x: Any, s: Sizes, ops: Operations) -> Any:
        return ops.linear("a", ops.mean(ops.batch_norm("n", x, foldable=True)), 3, bias=False)


class _Unread(NormedHead):
    kind = "test_unread"

    @classmethod
    def forward(cls, x: Any, s: Sizes, ops: Operations) -> Any:
        return ops.mean(ops.batch_norm("n", x, foldable=True))


def _of_map(kind: str, forward: Callable[[Any, Sizes, Operations], Any]) -> type[Unit]:
    """A block of a map, by its forward alone."""
    keys = ("h", "w", "channels")
    return type(kind, (Unit,), {"kind": kind, "keys": keys, "forward": staticmethod(forward)})


_WRONG = [
    (
        _of_map("test_adds", lambda x, s, ops: x + ops.conv("a", x, s.channels + 1)),
        "'add' of 4×2×3 and 5×2×3, which do not fit",
    ),
    (_of_map("test_vector", lambda x, s, ops: x * ops.mean(x)), "'mul' of 4×2×3 and 4, which do not fit"),
    (
        _of_map("test_joins", lambda x, s, ops: ops.concat([x, ops.halve(x)])),
        "'concat' of 4×2×3 and 4×1×2, which do not fit",
    ),
    (
        _of_map("test_parts", lambda x, s, ops: ops.chunk(x, 3)[0]),
        "'chunk' of 4×2×3, whose channels are no 3 equal",
    ),
    (
        _of_map("test_groups", lambda x, s, ops: ops.conv("a", x, 8, groups=3)),
        "'a': 3 groups do not divide 4 channels",
    ),
    (
        _of_map("test_grows", lambda x, s, ops: ops.conv("a", x, 8, groups=4, kernel=2)),
        "'a': a kernel of 2 is even",
    ),
    (
        _of_map("test_tokens", lambda x, s, ops: ops.conv("a", ops.to_tokens(x), 8)),
        "'a' takes a map, not 6×4",
    ),
    (
        _of_map("test_fraction", lambda x, s, ops: ops.conv("a", x, s.channels * 1.1)),
        "weight 'a_weight' would be 4.4.*×4×1×1: sizes are whole numbers",
    ),
    (
        _of_map("test_word", lambda x, s, ops: ops.act(x, "relu")),
        "'act' takes a position in ACTIVATIONS .*not 'relu'",
    ),
    (_of_map("test_asks", lambda x, s, ops: x.sigmoid()), "tensors have no 'sigmoid' .*use ops.gate"),
    (
        _of_map("test_torch", lambda x, s, ops: F.relu(x)),
        r"no 'relu' .*use ops.act.* \(.*operations.py:\d+\)",
    ),
    (_of_map("test_named", lambda x, s, ops: ops.convnorm(x)), "'ops.convnorm'. Did you mean 'conv_norm'"),
    (_of_map("test_part", lambda x, s, ops: x[:1]), "use ops.chunk"),
    (_of_map("test_product", lambda x, s, ops: x @ x), "no '@' .*use ops.linear, or ops.scores"),
    (_of_map("test_truth", lambda x, s, ops: x or x), "a branch asks what numbers a tensor holds"),
    (_of_map("test_else", lambda x, s, ops: x.cumsum(1)), "no 'cumsum' .*use one of ops.act, .*ops.weigh"),
    (_of_map("test_nothing", lambda x, s, ops: None), "'forward' returns NoneType where a tensor is needed"),
]


@pytest.mark.parametrize(("unit", "words"), _WRONG, ids=[unit.kind for unit, _ in _WRONG])
def test_what_no_tensors_could_do_is_refused(unit: type[Unit], words: str) -> None:
    sizes = {"h": 2, "w": 3, "channels": 4}
    with pytest.raises(NasError, match=f"block '{unit.kind}': .*{words}"):
        describe(unit, sizes)
    with pytest.raises(NasError, match=f"block '{unit.kind}': "):
        describe(unit, {key: np.array([size, size]) for key, size in sizes.items()})


def test_a_layer_of_a_batch_that_does_not_fit_leaves_the_others_alone() -> None:
    """A space's rules may forbid it; tables hold all values of its decisions."""
    unit = _of_map("test_halves", lambda x, s, ops: ops.concat(ops.chunk(x, 2)))
    counted = describe(unit, {"h": np.array([2, 2]), "w": np.array([2, 2]), "channels": np.array([4, 5])})
    assert counted.live[0] == 2 * 16


@pytest.mark.parametrize(
    ("unit", "words"),
    [
        (_Doubled, "two weights are called 'a_weight'"),
        (_NotFolded, "norm 'n' is foldable, but 'act' reads it"),
        (_NoBias, "norm 'n' is folded into 'a', which needs a bias"),
        (_Unread, "norm 'n' is foldable, but no linear layer follows"),
    ],
)
def test_blocks_that_cannot_be_right_say_why(unit: type[Unit], words: str) -> None:
    with pytest.raises(NasError, match=f"block '{unit.kind}': {words}"):
        describe(unit, {"h": 2, "w": 2, "channels": 4, "classes": 3})


def test_counting_of_traces_knows_what_branches_asked() -> None:
    """MACs of a trace depend on the sizes they are made of, and on those that a branch or a loop asked about."""
    row = {"h": 4, "w": 4, "channels": 6, "heads": 2, "qk_dim": 3, "kernels": pack([3, 5], 2)}
    traced = {key: Traced(value, frozenset({index})) for index, (key, value) in enumerate(row.items())}
    counted = macs(Cascade, traced)
    assert counted.value == macs(Cascade, row)
    assert counted.deps == frozenset(range(6))
    from nas.blocks.registry import UNITS as KINDS

    sizes = {"h": 4, "w": 4, "channels": 6, "hidden": 12, "act": 2, "norm": 0}
    traced = {key: Traced(value, frozenset({index})) for index, (key, value) in enumerate(sizes.items())}
    assert macs(KINDS["ffn"], traced).deps >= frozenset({0, 1, 2, 3})
    assert 5 not in macs(KINDS["ffn"], traced).deps  # the kind of norm costs nothing


class _Rounded(Unit):
    """A width that Python's own functions make."""

    kind = "test_rounded"
    keys = ("h", "w", "channels")

    @classmethod
    def forward(cls, x: Any, s: Sizes, ops: Operations) -> Any:
        sides = (
            math.ceil(s.channels / 2),
            round(s.channels * 1.3),
            int(s.channels / 4 + 1),
            math.floor(8 / s.channels + 1),
        )
        for index, width in enumerate(sides):
            x = ops.conv(f"conv{index}", x, width)
        return ops.conv("last", x, s.channels)


def test_rounding_by_pythons_own_functions_counts_alike() -> None:
    """Of one layer, of a batch, which splits, and of a trace, which knows that it was asked."""
    check_block(_Rounded, count=6)
    for channels in (3, 6):
        row = {"h": 2, "w": 3, "channels": channels}
        traced = {key: Traced(value, frozenset({index})) for index, (key, value) in enumerate(row.items())}
        counted = macs(_Rounded, traced)
        assert counted.value == macs(_Rounded, row)
        assert counted.deps == frozenset({0, 1, 2})


@pytest.mark.parametrize(
    "forward",
    [
        lambda x, s, ops: -x + ops.scale("a", x),
        lambda x, s, ops: x**2 - ops.scale("a", x),
        lambda x, s, ops: 2 / (ops.gate(x, "sigmoid") + 1),
        lambda x, s, ops: (3 - x) / (ops.gate(x, "sigmoid") + 1),
    ],
)
def test_operators_of_tensors_count_alike(forward: Callable[[Any, Sizes, Operations], Any]) -> None:
    check_block(_of_map("test_operators", forward), count=3)


@pytest.mark.parametrize("name", ["iadd", "isub", "imul", "itruediv", "ipow"])
def test_operators_in_place_are_refused_before_training_meets_them(name: str) -> None:
    unit = _of_map("test_in_place", lambda x, s, ops: getattr(operator, name)(ops.act(x, 1), ops.act(x, 2)))
    with pytest.raises(NasError, match=r"write 'x = x [+] y' instead of 'x [+]= y'"):
        describe(unit, {"h": 2, "w": 3, "channels": 4})


def test_a_name_for_a_size_is_no_second_size() -> None:
    """Of a batch sizes are arrays, which Python would change in place where it makes a new integer."""

    def forward(x: Any, s: Sizes, ops: Operations) -> Any:
        wide = s.channels
        wide *= 3
        wide += 1
        wide //= 2
        wide -= 1
        return ops.conv("b", ops.conv("a", x, wide), s.channels)

    check_block(_of_map("test_names", forward), [{"h": 2, "w": 3, "channels": c} for c in (2, 3, 5)])
