"""Random layers of a kind of unit, as a stage could have them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nas.blocks.base import Field, Unit
from nas.blocks.counting import describe
from nas.blocks.layouts import Interface
from nas.blocks.per_head import pack
from nas.errors import NasError

_TRIES = 100


@dataclass(frozen=True)
class Drawn:
    """One layer.

    Attributes:
        inputs: what it is handed.
        fields: what a stage says.
        sizes: what its unit plans of both.
    """

    inputs: tuple[Interface, ...]
    fields: dict[str, int]
    sizes: dict[str, int]


def draw(unit: type[Unit], count: int, rng: np.random.Generator) -> list[Drawn]:
    """Layers by way of the unit's own `plan`.

    Raises:
        AssertionError: `plan` and `forward` disagree about what is handed on, or hardly any layer can be built.
    """
    rows: list[Drawn] = []
    refused: Exception | None = None
    for _ in range(count * _TRIES):
        if len(rows) == count:
            return rows
        inputs, fields = _inputs_and_fields(unit, rng)
        try:
            planned, handed_on = unit.plan(list(inputs) if unit.joins else inputs[0], fields)
            row = {key: int(value) for key, value in planned.items()}
            out = describe(unit, row).cases[0].out
        except (NasError, ZeroDivisionError) as error:
            refused = error
            continue
        known = [each.shape for each in unit.inputs(row)] == [each.shape for each in inputs]
        assert out == handed_on.shape or not known, (  # a space refuses a layer that is handed another shape
            f"{unit.kind} {row}: 'forward' hands on {out} where 'plan' says {handed_on.shape}."
        )
        rows.append(Drawn(inputs, fields, row))
    raise AssertionError(
        f"{unit.kind}: hardly any random sizes can be built ({str(refused).rstrip('.')}); pass sizes of your own."
    )


def _inputs_and_fields(
    unit: type[Unit], rng: np.random.Generator
) -> tuple[tuple[Interface, ...], dict[str, int]]:
    h, w = (int(side) for side in rng.integers(1, 10, 2))
    extras = {key: int(rng.integers(0, 3)) for key in unit.takes.keys}
    inp = Interface(unit.takes, int(rng.integers(1, 13)), h, w, extras)
    fields = {"stride": int(rng.choice(unit.strides or (1, 2, 3))), "position": 0, "last": 0}
    fields["classes"] = int(rng.integers(1, 13))
    fields |= {name: _value(field, rng) for name, field in unit.fields.items()}
    fields |= {n: pack([v], fields[f.heads]) for n, f in unit.fields.items() if f.heads for v in [fields[n]]}
    fields |= {"width": inp.channels} if "channels" in unit.keys and "width" in fields else {}
    return (inp, inp) if unit.joins else (inp,), fields


def _value(field: Field, rng: np.random.Generator) -> Any:
    if field.words:
        return int(rng.integers(len(field.words)))
    value = int(rng.integers(field.low, min(field.high, field.low + 8) + 1))
    return value + 1 - value % 2 if field.odd else value
