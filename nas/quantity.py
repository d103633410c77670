"""Quantities with units, as people write them: `300M`, `20ms`, `12.7M`, `512MiB`, `75%`."""

from __future__ import annotations

import re
from math import isfinite

from nas.errors import NasError

_FACTORS = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
_TIMES = {"us": 1e-3, "ms": 1.0, "s": 1e3}
_BYTES = {"B": 1.0, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30}
_FORM = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([A-Za-z%]*)\s*\Z")
UNITS: dict[str, dict[str, float]] = {
    "MACs": _FACTORS,
    "params": _FACTORS,
    "ms": {"": 1.0, **_TIMES},
    "seconds": {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0},
    "bytes": {"": 1.0, **_BYTES},
    "fraction": {"": 1.0, "%": 0.01},
}


def parse_quantity(text: str | float, unit: str) -> float:
    """The number in `unit` (a key of `UNITS`).

    Raises:
        NasError: not a number, or a suffix that `unit` does not know.
    """
    if not isinstance(text, str):
        return float(text)
    match = _FORM.match(text)
    known = UNITS.get(unit, {"": 1.0})
    if match is None or match[2] not in known:
        suffixes = ", ".join(repr(s) for s in known if s) or "none"
        raise NasError(f"{text!r} is not a quantity in {unit}: a number with one of the suffixes {suffixes}.")
    number = float(match[1]) * known[match[2]]
    if not isfinite(number):
        raise NasError(f"{text!r} is too large a number.")
    return number
