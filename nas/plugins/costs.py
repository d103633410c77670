"""The decorator of metrics: costs that follow from the architecture."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from nas.errors import NasError
from nas.metrics import PROVENANCES, Direction, Provenance
from nas.plugins.claims import register

if TYPE_CHECKING:
    from nas.costs.registered import PerLayer

_METRIC = re.compile(r"[a-z][a-z_]*\Z")


def metric(
    name: str,
    *,
    unit: str,
    direction: Direction = "min",
    combine: Literal["sum", "max"] = "sum",
    provenance: Provenance = "estimated",
) -> Callable[[PerLayer], PerLayer]:
    """Register a cost that follows from the architecture, an objective and a constraint by its name.

    The function takes a layer's unit and its sizes, and gives a number in `unit`; `nas.blocks.base.macs` and `params`
    are two such. Sizes are arrays of shape `(n,)` where many layers are computed at once: write arithmetic and
    `nas.arith.where` instead of `if`.

    Args:
        name: lower-case letters and `_`.
        unit: of the number, for people.
        direction: which way is better.
        combine: how the layers of a network make its number.
        provenance: what the number is; `counted` is exact arithmetic.

    Raises:
        NasError: the name exists already or is none, or another argument is none of its words.
    """
    for what, word, words in (
        ("direction", direction, ("min", "max")),
        ("combine", combine, ("sum", "max")),
        ("provenance", provenance, PROVENANCES),
    ):
        if word not in words:
            raise NasError(f"metric {name!r}: {what} is {word!r}; it is one of {', '.join(words)}.")

    def add(function: PerLayer) -> PerLayer:
        from nas.costs import registered
        from nas.quantity import UNITS
        from nas.search.objective import KINDS, MetricKind

        made = registered.LayerMetric(name, unit, direction, combine, provenance, function)

        def put() -> None:
            registered.add(made)
            KINDS[name] = MetricKind(unit, direction, cheap=True, positive=False)
            UNITS.setdefault(unit, {"": "1", unit: "1"})  # so that a constraint may write it: energy<=3mJ

        def take_out() -> None:
            registered.remove(name)
            del KINDS[name]

        register("metric", name, KINDS, put, take_out, _METRIC, function)
        return function

    return add
