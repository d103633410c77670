"""Kept streams, several outputs, rectangles: networks that are no chain."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from nas.arith import Num
from nas.blocks.base import Field, Unit, refuse
from nas.blocks.layouts import TOKENS, Interface
from nas.blocks.operations import Operations
from nas.blocks.registry import register, unregister
from nas.blocks.sizes import Sizes
from nas.costs import cost
from nas.errors import ConfigError
from nas.space import Space, load_space
from nas.supernet.deploy import deployed
from nas.supernet.network import Network, build
from nas.supernet.supernet import Supernet
from nas.testing import check_block

SPACES = Path(__file__).parent / "spaces"


class Ask(Unit):
    """Tokens of the first stream ask those of the second; as many come out as of the first."""

    kind = "test_ask"
    takes = TOKENS
    fields = {"heads": Field(default=1, high=4)}
    keys = ("h", "w", "channels", "h1", "w1", "channels1", "heads")
    joins = True

    @classmethod
    def plan(cls, inp: Any, fields: Mapping[str, Num]) -> tuple[dict[str, Num], Interface]:
        a, b = inp
        refuse(a.channels % fields["heads"] != 0, "heads do not divide the channels")
        values = (a.h, a.w, a.channels, b.h, b.w, b.channels, fields["heads"])
        return dict(zip(cls.keys, values)), a

    @classmethod
    def inputs(cls, s: Mapping[str, Num]) -> tuple[Interface, ...]:
        first = Interface(TOKENS, s["channels"], s["h"], s["w"])
        return first, Interface(TOKENS, s["channels1"], s["h1"], s["w1"])

    @classmethod
    def forward(cls, x: Any, s: Sizes, ops: Operations) -> Any:
        asking, known = x
        q = ops.linear("q", ops.token_norm("norm", asking), s.channels)
        k, v = ops.linear("k", known, s.channels), ops.linear("v", known, s.channels)
        y = ops.weigh(v, ops.softmax(ops.scores(q, k, s.heads)))
        return asking + ops.linear("project", y, s.channels)


@pytest.fixture(autouse=True)
def _asking() -> Iterator[None]:
    register(Ask)
    yield
    unregister(Ask.kind)


def written(folder: Path, stages: str, more: str = "", resolution: str = "[16, 24]") -> Space:
    """A space of these stages."""
    path = folder / "s.yaml"
    head = f"version: 1\nname: s\ninput: {{resolution: {resolution}, classes: 4}}\nstages:\n"
    path.write_text(
        head + "\n".join(f"  {line}" for line in dedent(stages).strip().splitlines()) + "\n" + more
    )
    return load_space(path)


def shaken(network: Network | Supernet) -> Any:
    """The same with every weight moved away from where it started."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            tensor.add_(0.2 * torch.rand(tensor.shape, generator=generator).to(tensor.dtype))
            if name.endswith("_var"):
                tensor.abs_()
    return network.double().eval()


def assert_one_function(space: Space, archs: int = 6) -> None:
    """Supernet, extracted network and its deployed form answer alike, and the tables count what lowering does."""
    net, batch = shaken(Supernet(space, seed=0)), space.sample(archs, seed=1)
    costs = cost(space, batch)
    for index, arch in enumerate(batch):
        small = net.extract(arch)
        x = torch.randn(
            2, *small.input.shape, generator=torch.Generator().manual_seed(index), dtype=torch.float64
        )
        with torch.no_grad():
            answers = [net(x, arch), small(x), deployed(small)(x)]
        parts = [answer.values() if isinstance(answer, dict) else [answer] for answer in answers]
        for first, *others in zip(*parts):
            assert bool((first[0] != first[1]).any())
            for other in others:
                torch.testing.assert_close(other, first, rtol=1e-9, atol=1e-9)
        counted = {name: int(values[0]) for name, values in cost(space, arch).items()}
        assert counted == {name: int(values[index]) for name, values in costs.items()}


@pytest.mark.parametrize("name", ["skip", "neck", "positions"])
def test_supernet_network_and_deployed_form_are_one_function(name: str) -> None:
    assert_one_function(load_space(SPACES / f"{name}.yaml"))


def test_a_skip_over_stages_of_chosen_depth_written_by_hand() -> None:
    space = load_space(SPACES / "skip.yaml")
    for depth in (0, 2):
        arch = space.encode([{**space.presets["plain"].values, "A.depth": depth, "B.depth": 2}])[0]
        network = shaken(build(space, arch, seed=0))
        x = torch.randn(2, 3, 16, 24, dtype=torch.float64)
        with torch.no_grad():
            tensors = _layers_by_hand(network, x)
            early, deep = tensors["stem.0.conv_stem"], tensors["B.1.mbconv"]
            p = dict(network.layers[_index(network, "neck")].state_dict())
            expected = F.relu(_normed(early, p, "project") + F.interpolate(
                _normed(deep, p, "project1"), size=early.shape[2:], mode="bilinear", align_corners=False
            ))  # fmt: skip
            torch.testing.assert_close(tensors["neck.0.join"], expected)


def _index(network: Network, stage: str) -> int:
    return next(i for i, layer in enumerate(network.description) if layer.name.startswith(f"{stage}."))


def _normed(x: Tensor, p: Mapping[str, Tensor], name: str) -> Tensor:
    bn = [p[f"{name}_bn_{part}"] for part in ("mean", "var", "weight", "bias")]
    return F.batch_norm(F.conv2d(x, p[f"{name}_weight"]), *bn)


def _layers_by_hand(network: Network, x: Tensor) -> dict[str, Tensor]:
    """What every layer hands on, the streams followed by name; nothing of the walk is used."""
    from nas.blocks.ops import Ops

    tensors: dict[str, Tensor] = {}
    kept: dict[str, Tensor] = {"input": x}
    for layer, module in zip(network.description, network.layers):
        inputs = [kept[name] for name in layer.reads] if layer.reads else [x]
        x = module(inputs if layer.unit.joins else inputs[0], layer.sizes, Ops())
        tensors[layer.name] = x
        kept |= dict.fromkeys(layer.keeps, x)
    return tensors


def test_memory_counts_what_is_held_until_it_is_read(tmp_path: Path) -> None:
    """By hand: convolutions of 1×1 without activation, so that a layer's peak is its input and its output."""
    space = written(
        tmp_path,
        """
        a: {block: conv_norm, kernel: 1, width: [6, 8], keep: a}
        b: {block: conv_norm, kernel: 1, width: 2, stride: 2}
        c: {block: conv_norm, kernel: 1, width: 40}
        d: {block: conv_norm, kernel: 1, width: 1, keep: d}
        e: {block: join, reads: [d, a], width: 1}
        f: {block: dual_map_head, distilled: 0}
        """,
        resolution="8",
    )
    for width in (6, 8):
        arch = space.encode([{"a.width": width}])[0]
        a, b, c, d = width * 64, 2 * 16, 40 * 16, 16
        # The join: both inputs, the projected first, the projected second of 8×8 and its 4×4 version.
        join = d + a + d + 64 + 16
        assert cost(space, arch)["memory"][0] == 4 * max(3 * 64 + a, a + b, a + b + c, a + c + d, join)


def test_a_second_set_of_tokens_lives_through_a_stage(tmp_path: Path) -> None:
    check_block(Ask, count=5)
    space = written(
        tmp_path,
        """
        embed: {block: conv_norm, kernel: 3, stride: 4, width: [8, 12]}
        few: {block: conv_norm, kernel: 1, stride: 2, width: embed.width}
        learn: {block: ffn, depth: [1, 2], mlp_ratio: 2, keep: few}
        many: {block: ffn, depth: [0, 1, 2], mlp_ratio: [1, 2]}
        ask: {block: test_ask, reads: [few, few], heads: [1, 2], keep: asked}
        again: {block: test_ask, reads: [asked, few]}
        head: {block: dual_head}
        """,
    )
    assert_one_function(space)


def test_two_heads_answer_by_name() -> None:
    space = load_space(SPACES / "neck.yaml")
    arch = space.sample(1, seed=0)[0]
    answer = build(space, arch)(torch.zeros(1, 3, 24, 24))
    side = arch["resolution"] // 2
    assert {name: tuple(t.shape) for name, t in answer.items()} == {
        "scores": (1, 4),
        "labels": (1, 3, side, side),
    }


def test_a_rectangle_is_resized_to_its_own_sides() -> None:
    space = load_space(SPACES / "skip.yaml")
    network = build(space, space.presets["plain"])
    assert network.input.shape == (3, 16, 24)
    assert network(torch.zeros(2, 3, 40, 40)).shape == (2, 4)


def test_a_rectangle_may_follow_a_choice(tmp_path: Path) -> None:
    stages = "a: {block: conv_norm, width: [4, 6]}\nhead: {block: dual_map_head}"
    space = written(tmp_path, stages, resolution="{height: [8, 16], width: resolution * 2}")
    slots = space.lower(space.encode([{"resolution": 16, "a.width": 4}])[0])
    assert (slots[0].sizes["h"], slots[0].sizes["w"]) == (16, 32)
    scaled = space.lower(space.encode([{"resolution": 16, "a.width": 4}])[0], scale=0.25)
    assert (scaled[0].sizes["h"], scaled[0].sizes["w"]) == (4, 8)


A = "a: {block: conv_norm, width: [4, 6], keep: early}"
HEAD = "head: {block: dual_map_head}"


@pytest.mark.parametrize(
    ("stages", "more", "words"),
    [
        (f"{A}\nb: {{block: join, reads: [earl, input], width: 4}}\n{HEAD}", "", "'earl'.*early"),
        (f"{A}\n{HEAD}", "outputs: [scores]\n", "'scores'.*early"),
        (f"{A}\nb: {{block: conv_norm, width: 4, keep: early}}\n{HEAD}", "", "'early' is kept already"),
        (f"{A}\nb: {{block: conv_norm, width: 4, keep: input}}\n{HEAD}", "", "'input' is kept already"),
        (f"{A}\nb: {{block: conv_norm, width: 4, reads: [early, input]}}\n{HEAD}", "", "takes one stream"),
        (f"{A}\nb: {{block: join, width: 4}}\n{HEAD}", "", r"say which, reads: \[input, early\]"),
        (f"{A}\nb: {{block: ffn, depth: [0, 1], reads: [early]}}\n{HEAD}", "", "cannot be empty"),
        (f"{A}\nb: {{block: join, reads: early, width: 4}}\n{HEAD}", "", "a list of kept streams"),
        (f"{A}\nb: {{block: test_ask, reads: [early, input]}}\n{HEAD}", "", "takes tokens, not a map"),
        (f"{A}\nb: {{block: conv_norm, width: 4, keep: [x]}}\n{HEAD}", "", "'keep' is a name"),
    ],
)
def test_wrong_streams_are_refused_and_those_that_exist_are_named(
    tmp_path: Path, stages: str, more: str, words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        written(tmp_path, stages, more)


FIVE = "\n".join(f"c{i}: {{block: conv_norm, width: 4, keep: c{i}}}" for i in range(5))
READS = "reads: [c0, c1, c2, c3, c4]"


@pytest.mark.parametrize(
    ("stages", "line", "words"),
    [
        (
            f"{A}\n{FIVE}\nneck: {{block: join, {READS}, width: [4, 8]}}\n{HEAD}",
            11,
            "stages.neck: this stage cannot be built: block 'join' takes up to 4 streams, not 5. It was tried with "
            r"neck.width [48]\.$",
        ),
        (
            f"{A}\nt: {{block: ffn, keep: t}}\nneck: {{block: join, reads: [early, t], width: 4}}\n{HEAD}",
            7,
            "stages.neck: this stage cannot be built: block 'join' takes a map, not tokens.$",
        ),
        (
            f"{A}\nb:\n  block: mbconv\n  width: 4\n  kernel: 3\n"
            f"  stride: 2\n  downsample: {{block: unit_attention, heads: 1}}\n{HEAD}",
            11,
            "stages.b.downsample: this stage cannot be built: block 'unit_attention' takes unrolled tokens, not a map",
        ),
    ],
)
def test_a_stage_that_cannot_be_built_is_named_with_its_line(
    tmp_path: Path, stages: str, line: int, words: str
) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        written(tmp_path, stages)
    assert caught.value.line == line


@pytest.mark.parametrize(
    ("resolution", "words"),
    [
        ("{height: 16}", "'width' is missing"),
        ("{height: 16, width: [8, 16]}", "a width follows the height"),
        ("{height: 16, width: 8, depth: 3}", "'depth'"),
        ("{height: 16, width: 0}", "0 is below 1"),
    ],
)
def test_wrong_rectangles_are_refused(tmp_path: Path, resolution: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        written(tmp_path, f"{A}\n{HEAD}", resolution=resolution)
