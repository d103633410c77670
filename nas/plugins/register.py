"""The decorators. Each imports the part of nas that it registers with only when it is used."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from nas.errors import NasError
from nas.plugins.claims import checked_class, register

if TYPE_CHECKING:
    from torch import nn

    from nas.blocks.base import Block, Unit
    from nas.data.bundle import DataBundle
    from nas.latency.profiling.runtimes.base import Runtime
    from nas.search.strategies.base import Strategy

    AnyBlock = TypeVar("AnyBlock", bound=type[Unit] | Block)
    AnyStrategy = TypeVar("AnyStrategy", bound=type[Strategy])
    AnyRuntime = TypeVar("AnyRuntime", bound=type[Runtime])

Load = Callable[[str, int, float, int], "DataBundle"]
Teach = Callable[[str], "nn.Module"]
_KIND = re.compile(r"[a-z][a-z0-9_]*\Z")
_WORD = re.compile(r"[a-z][a-z0-9_.:-]*\Z")
_PREFIX = re.compile(r"[a-z][a-z0-9_.-]*\Z")


def block(thing: AnyBlock) -> AnyBlock:
    """Register a block: a class deriving `nas.blocks.base.Unit` under its `kind`, or a `Block` of several units.

    Raises:
        NasError: the name exists already or is none, or the class is not complete.
    """
    from nas.blocks import registry
    from nas.blocks.base import Block, Unit

    if isinstance(thing, Block):
        name: str = thing.name
    else:
        checked_class(thing, Unit, "@nas.plugins.block", "nas.blocks.base.Unit")
        name = str(getattr(thing, "kind", ""))
        if not hasattr(thing, "keys"):
            raise NasError(f"block {name!r}: it states no `keys`, the names of its sizes.")
    known = [*registry.BLOCKS, *registry.UNITS]
    register(
        "block",
        name,
        known,
        lambda: registry.register(thing),
        lambda: registry.unregister(name),
        _KIND,
        thing,
    )
    return thing


def strategy(name: str) -> Callable[[AnyStrategy], AnyStrategy]:
    """Register a search strategy, a class deriving `nas.search.strategies.base.Strategy`, for `--strategy NAME`.

    Arguments of its `__init__` beside those of `Strategy` are its options, `search.options.KEY`.

    Raises:
        NasError: the name exists already or is none, or the class is not complete.
    """

    def add(cls: AnyStrategy) -> AnyStrategy:
        from nas.search.strategies import NEVERGRAD, STRATEGIES
        from nas.search.strategies.base import Strategy

        checked_class(cls, Strategy, "@nas.plugins.strategy", "nas.search.strategies.base.Strategy")
        if name.startswith(NEVERGRAD):
            raise NasError(
                f"strategy {name!r}: names that begin with {NEVERGRAD!r} are nevergrad's optimizers."
            )
        _entry("strategy", name, STRATEGIES, cls, _WORD)
        return cls

    return add


def data(prefix: str) -> Callable[[Load], Load]:
    """Register a data set for `--data PREFIX` or `--data PREFIX:REST`.

    The function takes what stands behind the colon, the side in pixels that images will be asked for, the share of
    the training images that is held out for the search, and the seed of that split; it returns a
    `nas.data.bundle.DataBundle`. Its test images must not depend on the seed.

    Raises:
        NasError: the prefix exists already or is none.
    """

    def add(load: Load) -> Load:
        from nas.data.load import LOADERS

        _entry("data", prefix, LOADERS, load, _PREFIX)
        return load

    return add


def runtime(name: str) -> Callable[[AnyRuntime], AnyRuntime]:
    """Register a runtime, a class deriving `nas.latency.profiling.runtimes.base.Runtime`, for `--runtime NAME`.

    Raises:
        NasError: the name exists already or is none, differs from the class's, or the class is not complete.
    """

    def add(cls: AnyRuntime) -> AnyRuntime:
        from nas.latency.profiling.runtimes.base import RUNTIMES, Runtime

        checked_class(cls, Runtime, "@nas.plugins.runtime", "nas.latency.profiling.runtimes.base.Runtime")
        missing = [key for key in ("name", "suffix", "requires") if not hasattr(cls, key)]
        if missing:
            raise NasError(f"runtime {name!r}: its class states no {', '.join(missing)}.")
        if cls.name != name:
            raise NasError(f"runtime {name!r}: its class calls itself {cls.name!r}; both must be the same.")
        if cls.runner is None:
            raise NasError(
                f"runtime {name!r}: its class states no `runner`, which runs its files on the device."
            )
        _entry("runtime", name, RUNTIMES, cls, _PREFIX)
        return cls

    return add


def teacher(prefix: str) -> Callable[[Teach], Teach]:
    """Register networks to distil from, for `train.teachers=[PREFIX:REST]`.

    The function takes what stands behind the colon (may be nothing) and returns a `torch.nn.Module` that gives class
    scores of normalised images.

    Raises:
        NasError: the prefix exists already or is none.
    """

    def add(function: Teach) -> Teach:
        from nas.pipeline.teachers import TEACHERS

        _entry("teacher", prefix, TEACHERS, function, _PREFIX)
        return function

    return add


def _entry(what: str, name: str, known: dict[str, Any], thing: Any, form: re.Pattern[str]) -> None:
    """Register a thing that one dictionary holds."""
    register(
        what,
        name,
        known,
        lambda: known.__setitem__(name, thing),
        lambda: known.__delitem__(name),
        form,
        thing,
    )
