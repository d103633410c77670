"""Quantities with units, as people write them: `300M`, `20ms`, `12.7M`, `512MiB`, `75%`.

The one place that knows units. Numbers are multiplied as decimals, as they are written, and rounded once: `57 %`,
`0.57` and the cell `57` of a table in percent are the same number, so that an inclusive bound includes it.
"""

from __future__ import annotations

import re
from decimal import Context, Decimal, DecimalException
from math import inf, isfinite

from nas.errors import NasError

_FACTORS = {"": "1", "k": "1e3", "K": "1e3", "M": "1e6", "G": "1e9", "T": "1e12"}
_TIMES = {"ns": "1e-6", "us": "1e-3", "ms": "1", "s": "1e3"}
_BYTES = {
    "B": "1",
    "KB": "1e3",
    "MB": "1e6",
    "GB": "1e9",
    "KiB": "1024",
    "MiB": "1048576",
    "GiB": "1073741824",
}
_NUMBER = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_PLAIN = re.compile(_NUMBER)
_FORM = re.compile(rf"\s*({_NUMBER})\s*([A-Za-z%]*)\s*\Z")
PERCENT = "0.01"
UNITS: dict[str, dict[str, str]] = {
    "MACs": _FACTORS,
    "params": _FACTORS,
    "ms": {"": "1", **_TIMES},
    "seconds": {"": "1", "s": "1", "m": "60", "min": "60", "h": "3600"},
    "bytes": {"": "1", **_BYTES},
    "fraction": {"": "1", "%": PERCENT},
}
_EXACT = Context(prec=60, Emax=999_999_999, Emin=-999_999_999)
_LONGEST = 400


def parse_quantity(text: str | float, unit: str) -> float:
    """The number in `unit` (a key of `UNITS`).

    Raises:
        NasError: not a number, or a suffix that `unit` does not know.
    """
    if not isinstance(text, str):
        return float(text)
    match = _FORM.match(text) if len(text) <= _LONGEST else None
    known = UNITS.get(unit, {"": "1"})
    if match is None or match[2] not in known:
        suffixes = ", ".join(repr(s) for s in known if s) or "none"
        raise NasError(
            f"{text[:40]!r} is not a quantity in {unit}: a number with one of the suffixes {suffixes}."
        )
    number = times(match[1], known[match[2]])
    if not isfinite(number):
        raise NasError(f"{text!r} is too large a number.")
    return number


def times(number: str, factor: str) -> float:
    """The product of two numbers in decimal notation, rounded once; infinite where it is too large."""
    try:
        return float(_EXACT.multiply(Decimal(number), Decimal(factor)))
    except (DecimalException, OverflowError):
        return 0.0 if "e-" in number.lower() else inf


def fraction_of_percent(number: str) -> float:
    """`57.3`, in percent, as the fraction that `0.573` is."""
    return times(number, PERCENT)


def is_number(text: str) -> bool:
    """Whether a text is a plain decimal number: no unit, no decimal comma, neither infinite nor NaN."""
    return len(text) <= _LONGEST and _PLAIN.fullmatch(text) is not None and isfinite(float(text))
