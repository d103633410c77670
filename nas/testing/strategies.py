"""What a search relies on in a strategy, on a small space that is known completely."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from nas.metrics import Direction
from nas.search.strategies import Strategy, strategy
from nas.search.strategies.base import Floats
from nas.space import ArchBatch, Space, concatenate, load_space
from nas.testing.demand import demand

Make = Callable[..., Strategy]
SPACE = """version: 1
name: small
decisions: {a: [1, 2, 3, 4], b: [1, 2, 3, 4], c: [x, y, z], d: [1, 2]}
rules: [a <= b]
"""
DIRECTIONS: tuple[Direction, Direction] = ("max", "min")
SIZE = 60


def check_strategy(make: str | Make, options: Mapping[str, Any] | None = None) -> None:
    """Check every property of `PROPERTIES`, one after the other.

    Args:
        make: name of a strategy, as `--strategy` takes it; or what makes one, `(space, directions, *, seed, cheap,
            **options)`, such as its class.
        options: of the strategy, as small as the space of 60 architectures allows.

    Raises:
        AssertionError: the first property that does not hold, in a sentence.
    """
    for holds in PROPERTIES:
        holds(make, options)


def never_the_same_twice(make: str | Make, options: Mapping[str, Any] | None = None) -> None:
    """`ask` gives valid architectures, none twice, until the space is exhausted, and then none."""
    search, seen = _made(make, options), list[str]()
    while len(batch := search.ask(13)):
        demand(len(batch) <= 13, f"ask(13) gave {len(batch)} architectures.")
        demand(search.space.valid(batch).all(), "ask gave an architecture that the space's rules forbid.")
        seen += batch.ids
        search.tell(batch, values(batch))
        demand(len(set(seen)) == len(seen), "ask gave an architecture a second time.")
    demand(
        len(seen) == SIZE,
        f"ask gave {len(seen)} of the {SIZE} architectures of the space and then none; it must go on to the last.",
    )
    demand(len(search.ask(3)) == 0, "ask gave something after every architecture had been asked for.")


def any_order(make: str | Make, options: Mapping[str, Any] | None = None) -> None:
    """`ask` may be called again before `tell`, which takes parts, in any order, and strangers."""
    search = _made(make, options)
    asked = [search.ask(8) for _ in range(3)]
    distinct = {arch for batch in asked for arch in batch.ids}
    demand(len(distinct) == 24, "ask, called three times before tell, gave an architecture a second time.")
    search.tell(asked[2][4:], values(asked[2][4:]))
    search.tell(asked[0], values(asked[0]))
    stranger = search.space.sample(1, seed=99)
    search.tell(stranger, [[np.nan, np.nan]])
    again = set(search.ask(8).ids)
    demand(not again & distinct, "ask gave what it had asked for, but was not told of yet.")
    demand(not again & set(stranger.ids), "ask gave an architecture that it was told of without asking.")


def restored(make: str | Make, options: Mapping[str, Any] | None = None) -> None:
    """A strategy that is restored from its state, which is plain data, goes on exactly as the first would have."""
    first, second = _made(make, options, cheap=cheap), _made(make, options, cheap=cheap)
    for _ in range(2):
        batch = first.ask(9)
        first.tell(batch, values(batch), cheap(batch)[1])
    try:
        state = json.loads(json.dumps(whole_state(first)))
    except (TypeError, ValueError) as error:
        raise AssertionError(f"state() or log() is no plain data: {error}.") from None
    second.restore(state)
    for _ in range(2):
        a, b = first.ask(6), second.ask(6)
        demand(
            a.ids == b.ids,
            "a restored strategy asks for other architectures than the one it was restored from.",
        )
        first.tell(a, values(a), cheap(a)[1])
        second.tell(b, values(b), cheap(b)[1])
    demand(
        whole_state(first) == whole_state(second),
        "a restored strategy ends in another state than the one it came from.",
    )


def cheap_constraints(make: str | Make, options: Mapping[str, Any] | None = None) -> None:
    """Where enough feasible architectures exist, more than nine in ten that are asked for are feasible."""
    search, asked = _made(make, options, cheap=cheap), list[ArchBatch]()
    for _ in range(3):
        batch = search.ask(6)
        asked.append(batch)
        search.tell(batch, values(batch), cheap(batch)[1])
    share = float((cheap(concatenate(asked))[1] == 0).mean())
    demand(share > 0.9, f"{share:.0%} of what was asked for satisfies the constraints, though enough does.")


def failures(make: str | Make, options: Mapping[str, Any] | None = None) -> None:
    """Evaluations that failed, values that are no numbers, are survived."""
    search = _made(make, options)
    for _ in range(3):
        batch = search.ask(9)
        rows = values(batch)
        rows[::3] = np.nan
        search.tell(batch, rows)
    demand(len(search.ask(5)) == 5, "after failed evaluations, ask(5) gives fewer than 5 architectures.")


def own_randomness(make: str | Make, options: Mapping[str, Any] | None = None) -> None:
    """The same seed asks for the same, and numpy's global generator is left as it was."""
    before = np.random.get_state()  # noqa: NPY002 (what must not change)
    runs = []
    for _ in range(2):
        search, ids = _made(make, options), list[str]()
        for _ in range(2):
            batch = search.ask(9)
            ids += batch.ids
            search.tell(batch, values(batch))
        runs.append(ids)
        np.random.rand(3)  # noqa: NPY002 (what another part of a program might do)
    np.random.set_state(before)  # noqa: NPY002
    demand(
        runs[0] == runs[1],
        "two searches with the same seed ask for different architectures: use self.rng alone.",
    )


PROPERTIES = (never_the_same_twice, any_order, restored, cheap_constraints, failures, own_randomness)


def values(batch: ArchBatch) -> Floats:
    """Objective values of the small space, `(n, 2)`: the first to be large, the second small."""
    codes = batch.codes.astype(float)
    return np.stack(
        [codes[:, 0] + codes[:, 2] * codes[:, 3], codes[:, 1] + 2 * codes[:, 3] - codes[:, 2]], axis=1
    )


def cheap(batch: ArchBatch) -> tuple[Floats, Floats]:
    """The second objective follows from the architecture, and must not exceed 2."""
    every = values(batch)
    return np.stack([np.full(len(batch), np.nan), every[:, 1]], axis=1), np.maximum(every[:, 1] - 2, 0)


def small_space() -> Space:
    """A space of 60 architectures without networks."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "small.yaml"
        path.write_text(SPACE, encoding="utf-8")
        return load_space(path)


def whole_state(search: Strategy) -> dict[str, Any]:
    """The state of a strategy with all that it grew by."""
    return {**search.state(), **search.log({})}


def _made(make: str | Make, options: Mapping[str, Any] | None, **more: Any) -> Strategy:
    maker = partial(strategy, make) if isinstance(make, str) else make
    return maker(small_space(), DIRECTIONS, seed=0, **more, **(options or {}))
