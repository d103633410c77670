"""Slots as expressions: their values are what lowering gives for a batch, at every scale and in every space."""

from __future__ import annotations

import numpy as np
import pytest
from space_samples import NETWORKS, small, written
from stage_chains import chain, derived_chain, identity_chain

from nas.arith import Traced, ceil_div, evaluate, logical_not, maximum, minimum, where
from nas.errors import NasError
from nas.space import Space, load_space
from nas.space.lowering import lower
from nas.space.symbolic import slot_dependencies, symbolic

LARGE = ("elasticvit", "efficientformer", "efficientformer_v2", "turbovit")
SPACES = [*map(small, (*NETWORKS, "many")), *map(load_space, LARGE)]


def _check(space: Space, scale: float, classes: int | None) -> None:
    batch = space.sample(50, seed=7)
    lowered = symbolic(space, scale=scale, classes=classes)
    together = space.lower(batch, scale=scale, classes=classes)
    assert len(together) == len(lowered.slots)
    for index, (slot, deps) in enumerate(zip(together, lowered.dependent)):
        (layers,) = lowered.at(deps, batch.codes[:, list(deps)].T, [index])
        assert (slot.name, slot.unit) == (lowered.slots[index].name, lowered.slots[index].unit)
        assert np.array_equal(layers.active, np.broadcast_to(slot.active, 50)), slot.name
        assert list(layers.sizes) == list(slot.sizes)
        for key, values in slot.sizes.items():
            assert np.array_equal(layers.sizes[key], np.broadcast_to(values, 50)), (slot.name, key)


@pytest.mark.parametrize("space", SPACES, ids=lambda s: s.name)
def test_expressions_give_what_lowering_gives(space: Space) -> None:
    _check(space, 1.0, None)


@pytest.mark.parametrize("name", ["operators", "suffix", "optional", "predicates", "elasticvit"])
def test_expressions_give_what_lowering_gives_at_a_training_resolution(name: str) -> None:
    _check(load_space(name) if name in LARGE else small(name), 0.6, 7)


@pytest.mark.parametrize("text", [chain(6, shared=True, rules=True), derived_chain(6), identity_chain(6)])
def test_expressions_of_chains_give_what_lowering_gives(tmp_path, text: str) -> None:  # type: ignore[no-untyped-def]
    _check(written(tmp_path, text), 1.0, None)


def test_a_grid_runs_through_every_combination_the_last_decision_fastest() -> None:
    space = small("operators")
    lowered = symbolic(space)
    index, deps = max(enumerate(lowered.dependent), key=lambda item: len(item[1]))
    sizes = [len(space.decisions[d]) for d in deps]
    codes = np.zeros((int(np.prod(sizes)), len(space.decisions)), dtype=np.int16)
    codes[:, list(deps)] = list(np.ndindex(*sizes))
    (layers,) = lowered.on_grid(deps, [index])
    assert space.blueprint is not None
    slot = lower(space.blueprint, space.columns(codes))[index]
    assert np.array_equal(layers.active, np.broadcast_to(slot.active, len(codes)))
    for key, values in slot.sizes.items():
        assert np.array_equal(layers.sizes[key], np.broadcast_to(values, len(codes)))


def test_a_thousand_stages_that_derive_their_width_from_each_other(tmp_path) -> None:  # type: ignore[no-untyped-def]
    space = written(tmp_path, derived_chain(1000))
    assert space.index["S0.width"] in slot_dependencies(space)[-1]
    batch, lowered = space.sample(5, seed=0), symbolic(space)
    deps = lowered.dependent[-1]
    (layers,) = lowered.at(deps, batch.codes[:, list(deps)].T, [len(lowered.slots) - 1])
    for key, values in space.lower(batch)[-1].sizes.items():
        assert np.array_equal(layers.sizes[key], np.broadcast_to(values, 5))


def test_every_operation_of_a_trace_is_that_of_arrays() -> None:
    a, b = np.array([3, 4, 9, 0]), np.array([2, 4, 5, 7])

    def every(x, y):  # type: ignore[no-untyped-def]
        big = (x > 3) & (y < 7)
        return [
            *(x + y, 2 + x, x - y, 2 - x, x * y, 3 * x, x // y, 100 // y, x % y, 100 % y, -x),
            *(x < y, x <= y, x > y, x >= y, x == y, x != y, big, big | (x == y), logical_not(big)),
            *(maximum(x, y), minimum(x, y), ceil_div(x, y), where(big, x, y), where(big, 1, 0)),
        ]

    traces = every(Traced(5, frozenset({0})), Traced(6, frozenset({1})))
    for trace, expected in zip(evaluate(traces, {0: a, 1: b}), every(a, b), strict=True):
        assert np.array_equal(trace, expected)
    assert np.array_equal(evaluate([round(Traced(5, frozenset({0})) * 0.3)], {0: a})[0], np.rint(a * 0.3))
    assert [trace.value for trace in traces] == every(5, 6)


def test_a_trace_deeper_than_pythons_stack_is_evaluated() -> None:
    start = Traced(1, frozenset({0}))
    value = start
    for _ in range(20_000):
        value = value + 1
    assert evaluate([value, 4], {0: np.array([5, 6])})[0].tolist() == [20_005, 20_006]


def test_a_table_has_no_slots() -> None:
    with pytest.raises(NasError, match="no network behind it"):
        symbolic(load_space("nasbench201"))
