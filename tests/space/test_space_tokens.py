"""Extra tokens: a class token that is learned, carried through a transformer's stage beside the map's, and read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from test_space_streams import assert_one_function, written

from nas.blocks.base import Field, Unit, refuse
from nas.blocks.counting import describe, live_elements
from nas.blocks.layouts import MAP, TOKENS, Interface
from nas.blocks.operations import Operations
from nas.blocks.registry import register, unregister
from nas.blocks.sizes import Sizes
from nas.errors import ConfigError, NasError
from nas.space import Space
from nas.supernet.network import build
from nas.supernet.supernet import Supernet
from nas.testing import check_block


class ClassToken(Unit):
    """A learned token before those of the map, and a position for each."""

    kind = "test_class_token"
    takes = TOKENS
    fields = {"count": Field(default=1, high=3)}
    keys = ("h", "w", "channels", "count")

    @classmethod
    def out(cls, inp: Interface, s: Sizes) -> Interface:
        refuse(inp.extra("prefix") != 0, "there are such tokens already")
        return inp.with_(extras={"prefix": s.count})

    @classmethod
    def forward(cls, x: Any, s: Sizes, ops: Operations) -> Any:
        x = x + ops.param("position", s.h * s.w, s.channels, init="table")
        return ops.join_tokens([ops.tokens("token", x, s.count), x])


class Encoder(Unit):
    """Attention of all tokens among each other, and a feed-forward network; positions do not matter to it."""

    kind = "test_encoder"
    takes = TOKENS
    fields = {"heads": Field(default=2, high=3), "mlp_ratio": Field(default=2, high=3)}
    keys = ("h", "w", "prefix", "channels", "heads", "hidden")

    @classmethod
    def sizes(cls, inp: Interface, f: Sizes) -> dict[str, Any]:
        refuse(inp.channels % f.heads != 0, "heads do not divide the channels")
        return {"hidden": f.mlp_ratio * inp.channels}

    @classmethod
    def forward(cls, x: Any, s: Sizes, ops: Operations) -> Any:
        y = ops.token_norm("norm", x)
        q, k, v = (ops.linear(name, y, s.channels) for name in "qkv")
        y = ops.weigh(v, ops.softmax(ops.scores(q, k, s.heads)))
        x = x + ops.linear_scale("project", y, s.channels)
        y = ops.act(ops.linear("expand", ops.token_norm("mlp_norm", x), s.hidden), 2)
        return x + ops.linear_scale("reduce", y, s.channels)


class Local(Unit):
    """A convolution of the map's tokens alone; the leading ones pass."""

    kind = "test_local"
    takes = TOKENS
    keys = ("h", "w", "prefix", "channels")

    @classmethod
    def forward(cls, x: Any, s: Sizes, ops: Operations) -> Any:
        lead, rest = ops.split_tokens(x, s.prefix)
        y = ops.conv_norm("mix", ops.to_map(rest, s.h, s.w), s.channels, 3, depthwise=True)
        return ops.join_tokens([lead, rest + ops.to_tokens(y)])


class ClassHead(Unit):
    """Class scores of the leading tokens' mean."""

    kind = "test_class_head"
    takes = TOKENS
    keys = ("h", "w", "prefix", "channels", "classes")

    @classmethod
    def forward(cls, x: Any, s: Sizes, ops: Operations) -> Any:
        lead, _ = ops.split_tokens(x, s.prefix)
        return ops.linear("classes", ops.mean(ops.token_norm("norm", lead)), s.classes)


UNITS = (ClassToken, Encoder, Local, ClassHead)
STEM = "stem: {block: conv_norm, kernel: 3, stride: 4, width: [8, 12]}\n"
STAGES = f"""{STEM}token: {{block: test_class_token, count: [1, 2]}}
body: {{block: test_encoder, depth: [1, 2], heads: [1, 2], mlp_ratio: [1, 2]}}
local: {{block: test_local, depth: [0, 1]}}
head: {{block: test_class_head}}
"""


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    for unit in UNITS:
        register(unit)
    yield
    for unit in UNITS:
        unregister(unit.kind)


@pytest.fixture
def space(tmp_path: Path) -> Space:
    return written(tmp_path, STAGES)


@pytest.mark.parametrize("unit", [ClassToken, Encoder, Local], ids=lambda unit: unit.kind)
def test_the_suite_holds(unit: type[Unit]) -> None:
    check_block(unit, count=6)


def test_the_suite_holds_of_a_head_that_reads_leading_tokens() -> None:
    check_block(ClassHead, [dict(zip(ClassHead.keys, row)) for row in ((3, 2, 1, 4, 5), (2, 2, 3, 6, 2))])


def test_a_class_token_lives_through_a_stage_to_its_head(space: Space) -> None:
    assert_one_function(space)


def test_what_is_counted_of_tokens_by_hand() -> None:
    sizes = {"h": 3, "w": 2, "channels": 4, "count": 2}
    case = describe(ClassToken, sizes).cases[0]
    assert {name: w.shape for name, w in case.weights.items()} == {"position": (6, 4), "token": (2, 4)}
    assert case.out == (8, 4)
    assert live_elements(ClassToken, sizes) == 6 * 4 + 6 * 4 + 8 * 4  # the input, with positions, and joined


def test_a_token_learns_from_every_image_of_a_batch(space: Space) -> None:
    net, arch = Supernet(space, seed=0), space.sample(1, seed=3)[0]
    x = torch.randn(6, *build(space, arch, seed=None).input.shape)
    net.train()
    net(x, arch).square().sum().backward()
    token = next(p for name, p in net.named_parameters() if name.endswith("token"))
    assert token.grad is not None and bool((token.grad[: arch["token.count"], :8] != 0).all())


@pytest.mark.parametrize(
    ("stages", "words"),
    [
        (
            f"{STEM}token: {{block: test_class_token}}\nf: {{block: ffn}}\nhead: {{block: dual_head}}",
            "prefix 1",
        ),
        (
            f"{STEM}token: {{block: test_class_token}}\nc: {{block: conv_norm, width: 8}}\nh: {{block: dual_head}}",
            "tokens before those of the map have no place on it",
        ),
    ],
)
def test_tokens_that_a_block_does_not_know_are_refused(tmp_path: Path, stages: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        written(tmp_path, stages)


def _block(forward: Callable[[Any, Sizes, Operations], Any]) -> type[Unit]:
    keys = ("h", "w", "channels")
    return type("Wrong", (Unit,), {"kind": "test_wrong", "keys": keys, "forward": staticmethod(forward)})


@pytest.mark.parametrize(
    ("forward", "words"),
    [
        (
            lambda x, s, ops: ops.join_tokens([x, x]),
            "'join_tokens' takes tokens, not 4×2×3; 'to_tokens' makes",
        ),
        (
            lambda x, s, ops: ops.split_tokens(ops.to_tokens(x), 7)[0],
            "'split_tokens' of 7 tokens from 6×4, which has fewer",
        ),
        (
            lambda x, s, ops: ops.join_tokens(
                [ops.to_tokens(x), ops.linear("a", ops.to_tokens(x), s.channels + 1)]
            ),
            "'join_tokens' of 6×4 and 6×5, which do not fit",
        ),
    ],
)
def test_tokens_that_do_not_fit_are_refused(
    forward: Callable[[Any, Sizes, Operations], Any], words: str
) -> None:
    assert _block(forward).takes == MAP
    with pytest.raises(NasError, match=words):
        describe(_block(forward), {"h": 2, "w": 3, "channels": 4})
