"""Traces: what cost tables ask of a block, for any values of decisions, is what it says of the values themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from nas.arith import Num, Traced, evaluate
from nas.blocks.base import Form, Unit
from nas.blocks.counting import Description, describe
from nas.blocks.layouts import Interface
from nas.errors import NasError
from nas.testing.drawing import Drawn

_QUANTITIES = ("macs", "params", "live")


def check_traces(unit: type[Unit], rows: Sequence[Mapping[str, int]], forms: Sequence[Form]) -> None:
    """Counts of a trace are those of the numbers, and of others where no branch asked about what changed."""
    for row, other in zip(rows, [*rows[1:], *rows[:1]]):
        for form in forms:
            traced = describe(unit, _traced(row), form)
            asked = traced.cases[0].deps
            plain = Description(None, tuple(replace(case, deps=frozenset()) for case in traced.cases))
            for changed in _changes(unit, row, other, form, asked):
                _compare(unit, changed, form, plain)


def _changes(
    unit: type[Unit], row: Mapping[str, int], other: Mapping[str, int], form: Form, asked: frozenset[int]
) -> Iterator[Mapping[str, int]]:
    """The sizes themselves, and with one of them as in another layer, where no branch asked about it."""
    yield row
    for index, key in enumerate(row):
        changed = {**row, key: other[key]}
        if index in asked or changed == row:
            continue
        try:
            describe(unit, changed, form)
        except NasError:  # a layer that cannot be
            continue
        yield changed


def _compare(unit: type[Unit], sizes: Mapping[str, int], form: Form, traced: Description) -> None:
    leaves = _leaves(sizes)
    real = describe(unit, sizes, form)
    for name in _QUANTITIES:
        counted = int(np.asarray(evaluate([getattr(traced, name)], leaves)[0]).flat[0])
        assert counted == getattr(real, name), (
            f"{unit.kind} {dict(sizes)}: {name} of a trace ({form}): {counted}, of the numbers "
            f"{getattr(real, name)}: let branches and loops ask sizes themselves, not numbers made of them."
        )


def check_plan(unit: type[Unit], drawn: Sequence[Drawn]) -> None:
    """What `plan` says of a trace holds for any fields and inputs: it computes with sizes and branches on none."""
    for layer, other in zip(drawn, [*drawn[1:], *drawn[:1]]):
        values = _values(layer)
        inputs, fields = _rebuilt(layer, _traced(values))
        sizes, _ = unit.plan(list(inputs) if unit.joins else inputs[0], fields)
        for each in (layer, other):
            traced = evaluate(list(sizes.values()), _leaves(_values(each)))
            planned = {key: int(np.asarray(value).flat[0]) for key, value in zip(sizes, traced)}
            assert planned == each.sizes, (
                f"{unit.kind}: 'plan', traced and asked for other fields, says {planned}, and {each.sizes} when it is "
                "asked for these themselves: choose between sizes by nas.arith (where, maximum, minimum), not by "
                "'if'."
            )


def _values(layer: Drawn) -> dict[str, int]:
    """The numbers of a layer's fields and inputs by a name."""
    values = {f"field {name}": value for name, value in layer.fields.items()}
    for index, inp in enumerate(layer.inputs):
        sizes = {"channels": inp.channels, "h": inp.h, "w": inp.w, **inp.extras}
        values |= {f"{index} {name}": value for name, value in sizes.items()}
    return values


def _rebuilt(layer: Drawn, values: Mapping[str, Num]) -> tuple[tuple[Interface, ...], dict[str, Num]]:
    """Inputs and fields of a layer with other values for its numbers."""
    inputs = tuple(
        replace(
            inp,
            extras={name: values[f"{index} {name}"] for name in inp.extras},
            **{name: values[f"{index} {name}"] for name in ("channels", "h", "w")},
        )
        for index, inp in enumerate(layer.inputs)
    )
    return inputs, {name: values[f"field {name}"] for name in layer.fields}


def _traced(values: Mapping[str, int]) -> dict[str, Any]:
    return {key: Traced(value, frozenset({index})) for index, (key, value) in enumerate(values.items())}


def _leaves(values: Mapping[str, int]) -> dict[int, Num]:
    return {index: np.array([value]) for index, value in enumerate(values.values())}
