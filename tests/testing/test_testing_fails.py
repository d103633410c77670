"""The conformance checks find what is wrong, and say it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

import nas.plugins
import nas.testing
from nas.blocks.base import Unit, width
from nas.blocks.operations import Operations
from nas.blocks.sizes import Sizes
from nas.data.bundle import DataBundle, hold_out
from nas.data.images import TensorImages
from nas.latency.profiling.runtimes.torch_runtime import Torch
from nas.search.strategies import Strategy
from nas.space import ArchBatch
from nas.store import Storage
from nas.testing import check_block, check_data, check_runtime, check_storage, check_strategy


class Sound(Strategy):
    """Uniform draws."""

    def propose(self, n: int) -> ArchBatch:
        return self.fresh(n)


class Repeats(Sound):
    def ask(self, n: int) -> ArchBatch:
        return self.space.sample(min(n, 13), seed=1)


class Forbidden(Sound):
    def ask(self, n: int) -> ArchBatch:
        batch = super().ask(n)
        codes = batch.codes.copy()
        codes[:, 0], codes[:, 1] = 3, 0
        return ArchBatch(self.space, codes)


class StopsEarly(Sound):
    def ask(self, n: int) -> ArchBatch:
        return super().ask(n if len(self.archs) < 26 else 0)


class GlobalDraws(Sound):
    def propose(self, n: int) -> ArchBatch:
        return self.space.sample(n, seed=int(np.random.randint(1 << 30)))  # noqa: NPY002


class Forgets(Sound):
    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.turn = 0

    def propose(self, n: int) -> ArchBatch:
        self.turn += 1
        return self.space.sample(n, seed=self.turn)


class NoPlainState(Sound):
    def state(self) -> dict[str, Any]:
        return {**super().state(), "space": self.space}


class IgnoresBounds(Sound):
    def ask(self, n: int) -> ArchBatch:
        self.cheap, kept = None, self.cheap
        batch = super().ask(n)
        self.cheap = kept
        return batch


class DiesOfFailures(Sound):
    def ask(self, n: int) -> ArchBatch:
        return super().ask(0 if np.isnan(self.values).any() else n)


def _block(kind: str, forward: Callable[[Any, Sizes, Operations], Any]) -> type[Unit]:
    keys = ("h", "w", "channels")
    return type(kind, (Unit,), {"kind": kind, "keys": keys, "forward": staticmethod(forward)})


def _planned(
    kind: str, sizes: Callable[[Any, Sizes], Any], through: Callable[[Any], Any] = lambda n: n
) -> type[Unit]:
    class Planned(Unit):
        fields: ClassVar = {"width": width()}
        keys = ("h", "w", "cin", "cout", "hidden")

        @classmethod
        def sizes(cls, inp: Any, f: Sizes) -> Any:
            return sizes(inp, f)

        @classmethod
        def forward(cls, x: Any, s: Sizes, ops: Operations) -> Any:
            return ops.conv("b", ops.conv("a", x, through(s.hidden)), s.cout)

    Planned.kind = kind
    return Planned


def _doubled_in_place(x: Any) -> Any:
    x *= 2
    return x


@pytest.mark.parametrize(
    ("broken", "sentence"),
    [
        (
            _block("wider", lambda x, s, ops: ops.conv("a", x, s.channels + 2)),
            r"wider .*'forward' hands on \(9, 8, 6\) where 'plan' says \(7, 8, 6\)",
        ),
        (
            _block("twice", lambda x, s, ops: ops.scale("a", ops.scale("a", x))),
            "hardly any random sizes can be built .*two weights are called 'a'",
        ),
        (
            _block("in_place", lambda x, s, ops: _doubled_in_place(ops.act(x, 1))),
            "hardly any random sizes .*block 'in_place': .*write 'x = x [+] y' instead of 'x [+]= y'",
        ),
        (
            _block("two_faced", lambda x, s, ops: x + 1 if isinstance(x, torch.Tensor) else x),
            r"two_faced .*operations \(train\): counted \[\], real \['add'\]",
        ),
        (
            _planned("branches", lambda inp, f: {"hidden": 3 if f.width > 4 else 5}),
            "branches: 'plan', traced and asked for other fields, .*choose between sizes by nas.arith",
        ),
        (
            _planned(
                "hides", lambda inp, f: {"hidden": f.width}, lambda n: n.value if hasattr(n, "value") else n
            ),
            r"hides .*macs of a trace \(train\)",
        ),
    ],
)
def test_a_broken_block_is_found(broken: type[Unit], sentence: str) -> None:
    with pytest.raises(AssertionError, match=sentence):
        check_block(broken, count=3)


def test_a_block_without_operations_is_sound() -> None:
    check_block(_block("handed_on", lambda x, s, ops: x), count=3)


@pytest.mark.parametrize(
    ("broken", "sentence"),
    [
        (Repeats, "a second time"),
        (Forbidden, "that the space's rules forbid"),
        (StopsEarly, "and then none; it must go on to the last"),
        (GlobalDraws, "use self.rng alone|goes on|asks for other architectures"),
        (Forgets, "a restored strategy asks for other architectures"),
        (NoPlainState, r"state\(\) or log\(\) is no plain data"),
        (IgnoresBounds, "satisfies the constraints, though enough does"),
        (DiesOfFailures, "after failed evaluations|gave a|must go on"),
    ],
)
def test_a_broken_strategy_is_found(broken: type[Strategy], sentence: str) -> None:
    check_strategy(Sound)
    with pytest.raises(AssertionError, match=sentence):
        check_strategy(broken)


def stripes(share: float, seed: int, count: int = 60) -> DataBundle:
    draw = torch.Generator().manual_seed(0)
    images = TensorImages(torch.rand(count, 3, 8, 8, generator=draw), torch.arange(count) % 3)
    rest, test = hold_out(images, 0.25, 0, "stripes")
    train, search = hold_out(rest, share, seed, "stripes")
    return DataBundle("stripes", ("a", "b", "c"), train, search, test, mirrored=True)


def of_images(data: DataBundle, split: str, change: Callable[[TensorImages], TensorImages]) -> DataBundle:
    images = data.split(split)
    assert isinstance(images, TensorImages)
    return replace(data, **{split: change(images)})


@pytest.mark.parametrize(
    ("load", "sentence"),
    [
        (lambda share, seed: stripes(share, 0), "heed the fourth argument"),
        (lambda share, seed: stripes(0.2, seed), "heed the third argument"),
        (lambda share, seed: stripes(share, seed, 60 + 3 * seed), "test images depend on the seed"),
        (
            lambda share, seed: replace(stripes(share, seed), class_names=("a", "b")),
            "there are 2 class names",
        ),
        (
            lambda share, seed: replace(stripes(share, seed), class_names=("a", "b", "c", "d")),
            "class 'd' has no training image",
        ),
        (
            lambda share, seed: of_images(
                stripes(share, seed), "train", lambda i: replace(i, pixels=2 * i.pixels)
            ),
            "train split are not all within 0..1",
        ),
        (
            lambda share, seed: of_images(
                stripes(share, seed), "test", lambda i: replace(i, labels=i.labels.int())
            ),
            "labels of the test split are torch.int32",
        ),
        (
            lambda share, seed: of_images(
                stripes(share, seed), "search", lambda i: replace(i, pixels=torch.rand_like(i.pixels))
            ),
            "loaded again with the same seed, the search split is another one",
        ),
    ],
)
def test_broken_data_is_found(load: Callable[[float, int], DataBundle], sentence: str) -> None:
    nas.plugins.data("stripes")(lambda rest, side, share, seed: stripes(share, seed))
    check_data("stripes", side=8)
    nas.plugins.data("broken")(lambda rest, side, share, seed: load(share, seed))
    with pytest.raises(AssertionError, match=sentence):
        check_data("broken", side=8)


class Runner:
    def __init__(self, threads):
        self.version = "1"

    def load(self, data, shape):
        return Loaded(lambda: None, lambda: None)  # noqa: F821 (the timer's own)


class Halves(Torch):
    """Halves the weights it exports."""

    name, runner = "halves", Runner

    @classmethod
    def export(cls, module: torch.nn.Module, example: torch.Tensor) -> bytes:
        for parameter in module.parameters():
            parameter.data /= 2
        return b"file"


class Empty(Torch):
    name, runner = "empty", Runner

    @classmethod
    def export(cls, module: torch.nn.Module, example: torch.Tensor) -> bytes:
        return b""


class OtherVersion(Torch):
    name, runner = "other-version", Runner

    @classmethod
    def version(cls) -> str:
        return "2"

    @classmethod
    def export(cls, module: torch.nn.Module, example: torch.Tensor) -> bytes:
        return b"file"


class Crashes(OtherVersion):
    name = "crashes"

    @classmethod
    def export(cls, module: torch.nn.Module, example: torch.Tensor) -> bytes:
        raise TypeError("no such operation")


@pytest.mark.parametrize(
    ("broken", "sentence"),
    [
        (Halves, "changes its weights"),
        (Empty, "no bytes"),
        (OtherVersion, r"version\(\) says 2, the runner 1"),
        (Crashes, "cannot be exported: TypeError: no such operation"),
    ],
)
def test_a_broken_runtime_is_found(broken: type[Torch], sentence: str) -> None:
    nas.plugins.runtime(broken.name)(broken)
    with pytest.raises(AssertionError, match=sentence):
        check_runtime(broken.name)


def test_a_broken_database_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"sqlite:///{tmp_path / 'nas.db'}"
    check_storage(url)
    monkeypatch.setattr(Storage, "rollback_to", lambda self, study, revision: None)
    with pytest.raises(AssertionError, match="after going back to a revision"):
        check_storage(url)


def test_the_suites_need_no_test_framework() -> None:
    text = (
        "import sys, nas.testing as t\n"
        "[getattr(t, name) for name in t.__all__]\n"
        "assert 'pytest' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", text], check=True, timeout=120)
    with pytest.raises(AttributeError):
        _ = nas.testing.check_nothing
