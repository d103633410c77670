"""Values by position and by head, fixed lists, and units of one kind in several roles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from nas.arith import Num
from nas.blocks.base import Field, Member, Unit, block_of
from nas.blocks.efficientformer_v2 import ConvFFN
from nas.blocks.layouts import TOKENS, Interface
from nas.blocks.operations import Operations
from nas.blocks.per_head import at, join_words, pack, split_words, unpack
from nas.blocks.registry import UNITS, register, unregister
from nas.blocks.sizes import Sizes
from nas.costs import cost
from nas.errors import ConfigError, NasError
from nas.space import Space, load_space
from nas.supernet.network import build
from nas.supernet.supernet import Supernet

SPACES = Path(__file__).parent / "spaces"


class HeadConvs(Unit):
    """A depth-wise convolution per head, each with a kernel and an activation of its own."""

    kind = "test_head_convs"
    fields = {
        "heads": Field(default=2, high=8),
        "kernels": Field(default=3, odd=True, high=7, heads="heads"),
        "acts": Field(default="relu", words=("none", "relu", "gelu"), heads="heads"),
    }
    keys = ("h", "w", "channels", "heads", "kernels", "acts")

    @classmethod
    def forward(cls, x: Any, s: Sizes, ops: Operations) -> Any:
        parts = []
        for head, y in enumerate(ops.chunk(x, s.heads)):
            y = ops.conv_norm(f"mix{head}", y, s.channels // s.heads, at(s.kernels, head), depthwise=True)
            parts.append(ops.act(y, at(s.acts, head)))
        return x + ops.concat(parts)


@pytest.fixture(autouse=True)
def _blocks() -> Iterator[None]:
    register(HeadConvs)
    register(
        block_of(
            "test_sandwich",
            Member("before", ConvFFN, {"expansion": "before"}),
            HeadConvs,
            Member("after", ConvFFN, {"expansion": "after"}),
        )
    )
    yield
    unregister("test_sandwich")
    unregister(HeadConvs.kind)


def written(folder: Path, body: str, first: str = "width: [8, 16]", head: str = "dual_map_head") -> Space:
    path = folder / "s.yaml"
    path.write_text(
        "version: 1\nname: s\ninput: {resolution: 8, classes: 4}\nstages:\n"
        f"  stem: {{block: conv_stem, stride: 2, {first}}}\n  A: {body}\n  head: {{block: {head}}}\n"
    )
    return load_space(path)


def sizes_of(space: Space, values: Mapping[str, Any], key: str) -> list[int]:
    """A size of the layers of stage A, in order."""
    arch = space.encode([values])[0]
    return [slot.sizes[key] for slot in space.lower(arch) if slot.stage == "A" and slot.active]


def test_fields_read_position_depth_and_last() -> None:
    space = load_space(SPACES / "positions.yaml")
    base = {"A.depth": 4, "A.expansion": 2, "B.depth": 3, "B.width": 8, "C.depth": 1}
    assert sizes_of(space, base, "se") == [1, 0, 1, 0]
    assert sizes_of(space, base, "kernel") == [3, 5, 1, 1]
    for depth, expansions in ((2, [2, 4]), (3, [2, 2, 4])):
        arch = space.encode([{**base, "B.depth": depth}])[0]
        own = [s for s in space.lower(arch) if s.stage == "B" and s.active]
        assert [s.sizes["expansion"] for s in own] == expansions
        assert [s.sizes["kernel"] for s in own] == [3, 5, 5][:depth]
    kinds = [s.kind for s in space.lower(space.encode([{**base, "C.depth": 3}])[0]) if s.stage == "C"]
    assert kinds == ["conv_ffn", "mb4d", "mb4d"]


def test_depth_in_an_expression_is_the_stages_own(tmp_path: Path) -> None:
    space = written(tmp_path, "{block: mbconv, width: 8, depth: [1, 2, 3], expansion: depth + position}")
    for depth in (1, 2, 3):
        values = {"stem.width": 8, "A.depth": depth}
        assert sizes_of(space, values, "expansion") == [depth + p for p in range(depth)]


def test_a_choice_per_head_has_a_decision_for_each_head_there_is(tmp_path: Path) -> None:
    body = "{block: test_head_convs, heads: [1, 2, 4], kernels: {values: [1, 3, 5], per: head}}"
    space = written(tmp_path, body)
    assert [d.name for d in space.decisions if "kernels" in d.name] == [f"A.kernels[{h}]" for h in range(4)]
    assert space.size() == (2 * (3 + 3**2 + 3**4), True)
    values = {"stem.width": 8, "A.heads": 2, "A.kernels[0]": 5, "A.kernels[1]": 1}
    (code,) = sizes_of(space, values, "kernels")
    assert unpack(code) == [5, 1]
    net, batch = Supernet(space, seed=0).double().eval(), space.sample(12, seed=0)
    for arch in batch:
        x = torch.randn(1, 3, 8, 8, dtype=torch.float64)
        torch.testing.assert_close(net(x, arch), net.extract(arch)(x))
    counted = cost(space, batch)["macs"]
    assert [int(cost(space, arch)["macs"][0]) for arch in batch] == counted.tolist()


def test_macs_of_kernels_per_head_by_hand(tmp_path: Path) -> None:
    body = "{block: test_head_convs, heads: 4, kernels: {each: [7, 5, 3]}, acts: {each: [relu, none]}}"
    space = written(tmp_path, body)
    slot = next(s for s in space.lower(space.encode([{"stem.width": 8}])[0]) if s.kind == HeadConvs.kind)
    assert unpack(slot.sizes["kernels"]) == [7, 5, 3, 3] and unpack(slot.sizes["acts"]) == [1, 0, 0, 0]
    from nas.blocks.counting import macs

    assert macs(HeadConvs, slot.sizes) == 2 * 16 * (49 + 25 + 9 + 9)


def test_units_of_one_kind_have_weights_of_their_own_by_role(tmp_path: Path) -> None:
    body = "{block: test_sandwich, depth: 2, before: [1, 2], after: 3, heads: 2}"
    space = written(tmp_path, body, "width: 8")
    arch = space.encode([{"A.before": 2}])[0]
    names = [s.name for s in space.lower(arch) if s.stage == "A"]
    assert names[:3] == ["A.0.before", "A.0.test_head_convs", "A.0.after"]
    hidden = [s.sizes["hidden"] for s in space.lower(arch) if s.kind == "conv_ffn"]
    assert hidden == [16, 24, 16, 24]
    net = Supernet(space, seed=0)
    alone = build(space, arch, seed=None)
    assert sum(p.numel() for p in net.parameters()) == sum(p.numel() for p in alone.parameters())
    assert sum(p.numel() for p in alone.parameters()) == cost(space, arch)["train_params"][0]
    assert not torch.equal(
        net.layers["A_0_before"].expand_weight[:16], net.layers["A_0_after"].expand_weight[:16]
    )  # type: ignore[union-attr,index]


def test_a_block_fixes_fields_and_hands_the_stride_to_the_unit_that_has_one(tmp_path: Path) -> None:
    members = (
        Member("near", UNITS["depthwise"], fixed={"shortcut": 0}),
        UNITS["conv_bn"],
        UNITS["depthwise"],
    )
    register(block_of("test_leading", *members))
    try:
        space = written(
            tmp_path, "{block: test_leading, stride: 2, width: 16, shortcut: 1, kernel: 5}", "width: [8, 16]"
        )
        layers = [s for s in space.lower(space.sample(1, seed=0)[0]) if s.stage == "A"]
        assert [s.sizes["h"] for s in layers] == [4, 4, 2]
        assert [s.sizes.get("shortcut") for s in layers] == [0, None, 1]
        assert [s.sizes.get("stride") for s in layers] == [None, 2, None]
        assert all(s.sizes["kernel"] == 5 for s in layers)
        bare = block_of("test_bare", Member("near", UNITS["depthwise"], fixed={"shortcut": 0}))
        assert "shortcut" not in bare.fields
    finally:
        unregister("test_leading")


def test_two_units_in_one_role_are_refused() -> None:
    with pytest.raises(NasError, match="'twice' has two units in the role 'conv_ffn'"):
        block_of("twice", ConvFFN, ConvFFN)


def test_blocks_that_are_chosen_between_agree_on_the_kind_of_a_role(tmp_path: Path) -> None:
    register(block_of("test_other", Member("before", HeadConvs)))
    try:
        with pytest.raises(ConfigError, match="role 'before' is of kind 'conv_ffn' in one block"):
            written(tmp_path, "{block: [test_sandwich, test_other], before: 2, after: 2}")
    finally:
        unregister("test_other")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("{block: mbconv, width: 8, depth: 2, kernel: {each: [3, 4]}}", "odd number is needed, not 4"),
        ("{block: mbconv, width: 8, kernel: {each: []}}", "a list of 1 to 1 values"),
        ("{block: mbconv, width: 8, kernel: {each: [3, 5]}}", "a list of 1 to 1 values"),
        ("{block: mbconv, width: 8, kernel: {each: [3], per: head}}", "'each' stands alone"),
        ("{block: mbconv, width: 8, depth: 3, se: position}", "of block 2: 2 is above 1"),
        ("{block: mbconv, width: 8, kernel: {values: [3, 5], per: head}}", "'kernel' has no value per head"),
        ("{block: test_head_convs, heads: stem.width / 4, kernels: {values: [3, 5], per: head}}", "number or a range"),
        ("{block: {each: [conv_ffn, nothing]}, depth: 2}", "'nothing'"),
        ("{block: mbconv, width: 8, expansion: later + 1}", "'later'"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(tmp_path: Path, body: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        written(tmp_path, body)


def test_a_field_by_position_has_no_value_for_others(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(
        "version: 1\nname: s\ninput: {resolution: 8, classes: 4}\nstages:\n"
        "  a: {block: mbconv, width: [8, 9], depth: 2, expansion: 1 + position}\n"
        "  b: {block: mbconv, width: 8, expansion: a.expansion}\n  head: {block: dual_map_head}\n"
    )
    with pytest.raises(ConfigError, match="has a value for each block"):
        load_space(path)


@pytest.mark.parametrize("values", [[0], [14, 0, 3], [7, 5, 3, 3], [1] * 15])
def test_values_per_head_are_packed_and_read_again(values: list[int]) -> None:
    code = pack(values, len(values))
    assert unpack(code) == values == [at(code, head) for head in range(len(values))]
    assert split_words(join_words(code)) == code
    assert unpack(pack(values[:1], 3)) == values[:1] * 3  # the last stands for the heads behind it


@pytest.mark.parametrize("text", ["5.x", "15", "3." * 15 + "3", ""])
def test_texts_that_are_no_values_per_head(text: str) -> None:
    with pytest.raises(ValueError):
        split_words(text)


def test_a_misspelled_place_is_recognized(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"unknown name 'positon'\. Did you mean 'position'"):
        written(tmp_path, "{block: mbconv, depth: [1, 2], width: 8, se: (positon + 1) % 2}")


def test_a_body_behind_a_downsample_needs_no_width_that_it_ignores(tmp_path: Path) -> None:
    body = "{block: conv_ffn, depth: [1, 2], downsample: {block: conv_norm, width: [8, 12]}, stride: 2}"
    space = written(tmp_path, body)
    assert {d.name for d in space.decisions} == {"stem.width", "A.depth", "A.downsample.width"}
    values: dict[str, Num] = {"stem.width": 8, "A.depth": 2, "A.downsample.width": 12}
    slots = [s for s in space.lower(space.encode([values])[0]) if s.kind == "conv_ffn"]
    assert [s.sizes["channels"] for s in slots] == [12, 12] and slots[0].inputs[0].channels == 12
    assert isinstance(slots[0].inputs[0], Interface)


class ClassToken(Unit):
    """A learned token before those of the map, as a ViT's classifier reads."""

    kind = "test_class_token"
    takes = TOKENS
    keys = ("h", "w", "channels")

    @classmethod
    def out(cls, inp: Interface, s: Sizes) -> Interface:
        return inp.with_(extras={"prefix": 1})

    @classmethod
    def forward(cls, x: Any, s: Sizes, ops: Operations) -> Any:
        return x  # refused before it runs


def test_a_block_that_knows_no_tokens_before_the_maps_is_not_handed_any(tmp_path: Path) -> None:
    register(ClassToken)
    try:
        with pytest.raises(
            ConfigError, match=r"block 'ffn' is handed tokens of shape \(17, 16\) \(prefix 1\)"
        ):
            written(
                tmp_path, "{block: test_class_token}\n  B: {block: ffn, mlp_ratio: [1, 2]}", head="dual_head"
            )
        with pytest.raises(ConfigError, match="tokens before those of the map have no place on it"):
            written(tmp_path, "{block: test_class_token}\n  B: {block: conv_ffn, expansion: [1, 2]}")
    finally:
        unregister(ClassToken.kind)


class Wider(Unit):
    """Its forward hands on another width than its plan."""

    kind = "test_wider"
    keys = ("h", "w", "channels")

    @classmethod
    def forward(cls, x: Any, s: Sizes, ops: Operations) -> Any:
        return ops.conv("a", x, s.channels + 1)


class Misfit(Wider):
    """Its forward adds what does not fit."""

    kind = "test_misfit"

    @classmethod
    def forward(cls, x: Any, s: Sizes, ops: Operations) -> Any:
        return x + super().forward(x, s, ops)


@pytest.mark.parametrize(
    ("unit", "words"),
    [
        (Wider, r"stages\.A: block 'test_wider' hands on \(17, 4, 4\) by its 'forward', but \(16, 4, 4\) by"),
        (Misfit, r"stages\.A: block 'test_misfit': 'add' of 16×4×4 and 17×4×4, which do not fit"),
    ],
)
def test_a_block_that_computes_what_it_does_not_say_is_found_as_the_space_is_read(
    tmp_path: Path, unit: type[Unit], words: str
) -> None:
    register(unit)
    try:
        with pytest.raises(ConfigError, match=words):
            written(tmp_path, f"{{block: {unit.kind}, depth: [1, 2]}}")
    finally:
        unregister(unit.kind)
