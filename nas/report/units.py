"""Numbers as people read them: 93.1 %, 12.4 ms, 302 M MACs."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from nas.metrics import Metric

_PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))
_BYTES = ((2.0**30, "GiB"), (2.0**20, "MiB"), (2.0**10, "KiB"))
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_TITLES = {
    "accuracy": "Top-1 accuracy",
    "latency": "Latency",
    "macs": "MACs",
    "params": "Parameters",
    "memory": "Peak memory",
    "train_params": "Parameters in training",
}


@dataclass(frozen=True)
class Scale:
    """How numbers of one unit are shown together.

    Attributes:
        factor: shown number = stored number times this.
        symbol: unit of the shown number, behind it in prose: `"%"`, `"ms"`, `"M MACs"`.
        axis: the same where a title names the quantity: `"%"`, `"ms"`, `"M"`.
    """

    factor: float
    symbol: str
    axis: str


def scale_for(unit: str, values: Iterable[float]) -> Scale:
    """The scale that suits most of some values in `unit`."""
    sizes = [abs(value) for value in values if math.isfinite(value)]
    typical = median(sizes) if sizes else 0.0
    if unit == "fraction":
        return Scale(100.0, "%", "%")
    if unit == "bytes":
        size, symbol = next(((size, name) for size, name in _BYTES if typical >= size), (1.0, "B"))
        return Scale(1.0 / size, symbol, symbol)
    if unit in ("MACs", "params"):
        size, prefix = next(((size, name) for size, name in _PREFIXES if typical >= size), (1.0, ""))
        return Scale(1.0 / size, f"{prefix} {unit}".strip(), prefix)
    return Scale(1.0, unit, unit)


def quantity(value: float, unit: str) -> str:
    """One number with its unit, to as many digits as it deserves."""
    scale = scale_for(unit, [value])
    return f"{number(value, unit, scale)} {scale.symbol}".strip()


def number(value: float, unit: str, scale: Scale | None = None) -> str:
    """One number without its unit: accuracies to 0.1 %, everything else to three digits."""
    if math.isnan(value):
        return "–"
    shown = value * (scale or scale_for(unit, [value])).factor
    return f"{shown:.1f}" if unit == "fraction" else significant(shown)


def significant(value: float, digits: int = 3) -> str:
    """A number to some significant digits, without an exponent where it is of everyday size.

    >>> significant(12345.6), significant(12.345), significant(0.01234)
    ('12,346', '12.3', '0.0123')
    """
    if not math.isfinite(value):
        return str(value)
    if value == 0:
        return "0"
    magnitude = math.floor(math.log10(abs(value)))
    if not -4 <= magnitude < 9:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        return f"{mantissa}×10{str(int(exponent)).translate(_RAISED)}"
    return f"{value:,.{max(0, digits - 1 - magnitude)}f}"


def exact(value: float, unit: str) -> str:
    """A number that somebody chose, such as a bound, without digits it does not have: `60 ms`."""
    scale = scale_for(unit, [value])
    return f"{value * scale.factor:g} {scale.axis}".strip()


def signed(value: float) -> str:
    """Two decimals with a sign, a true minus among them."""
    return f"{value:+.2f}".replace("-", "−")


def interval(metric: Metric, scale: Scale | None = None) -> str:
    """`"90.2–95.4"` in the scale of the value, `""` for an exact number."""
    if metric.low is None or metric.high is None:
        return ""
    scale = scale or scale_for(metric.unit, [metric.value])
    return f"{number(metric.low, metric.unit, scale)}–{number(metric.high, metric.unit, scale)}"


def amount(value: float, unit: str) -> str:
    """One number where its name has said what is counted: `93.1 %`, but `302 M` for MACs."""
    scale = scale_for(unit, [value])
    return f"{number(value, unit, scale)} {scale.axis}".strip()


def described(metric: Metric) -> str:
    """A metric with all that must be known to read it: `93.1 % (90.2–95.4, measured)`."""
    facts = [part for part in (interval(metric), metric.provenance) if part]
    return f"{amount(metric.value, metric.unit)} ({', '.join(facts)})"


def title(name: str, device: str = "") -> str:
    """What a metric is called: `latency@pixel6` is the latency on pixel6."""
    base, _, suffix = name.partition("@")
    where = suffix or (device if base == "latency" else "")
    called = _TITLES.get(base, base)
    return f"{called} on {where}" if where else called


def duration(seconds: float) -> str:
    """`"48 s"`, `"3 min 20 s"`, `"2 h 05 min"`."""
    if seconds < 10:
        return f"{significant(seconds, 2)} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60:02d} min"


def percent(share: float) -> str:
    """A share in 0..1 as a percentage."""
    return f"{significant(100 * share)} %" if share else "0 %"
