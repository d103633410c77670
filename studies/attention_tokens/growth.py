"""How latency grows with the number of tokens: attention units and whole networks in ONNX Runtime."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import stats
from study import Row, say, write_tables
from timing import Exported, exported_network, exported_unit, interleaved

from nas.space.batch import Arch
from nas.space.space import Space

UNIT_STRIDE, UNIT_RESOLUTIONS = 8, (64, 96, 128, 160, 192, 256, 320, 384, 448, 512)
NETWORK_STRIDE, NETWORK_RESOLUTIONS = (
    4,
    (32, 48, 64, 96, 128, 160, 192, 256),
)  # of the first place for attention
CHANNELS = 64
CONFIDENCE = 0.95
UNITS = {
    "softmax": "patch_attention h={s} w={s} channels={c} heads=4 dim=16 patch=1 eps=5",
    "separable": "separable_attention h={s} w={s} channels={c} patch=1 eps=5",
    "linear": "lite_mla h={s} w={s} channels={c} heads=4 dim=16 scale1=0 scale2=0 eps=5 attention_eps=15",
    "multiscale": "lite_mla h={s} w={s} channels={c} heads=4 dim=16 scale1=5 scale2=0 eps=5 attention_eps=15",
}


@dataclass(frozen=True)
class Exponent:
    """The slope of log time over log tokens, with its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def shown(self) -> str:
        """`0.98 (0.91–1.05)`."""
        return f"{self.value:.2f} ({self.low:.2f}–{self.high:.2f})"


def exponent(tokens: Sequence[float], times: Sequence[float]) -> Exponent:
    """Least squares on logarithms; the interval is Student's with n − 2 degrees of freedom."""
    found = stats.linregress(np.log(tokens), np.log(times))
    half = float(stats.t.ppf(0.5 + CONFIDENCE / 2, len(tokens) - 2)) * float(found.stderr)
    slope = float(found.slope)
    return Exponent(slope, slope - half, slope + half)


def unit_models() -> dict[tuple[str, int], Exported]:
    """An attention unit of each kind for every resolution."""
    return {
        (name, side): exported_unit(text.format(s=side // UNIT_STRIDE, c=CHANNELS))
        for name, text in UNITS.items()
        for side in UNIT_RESOLUTIONS
    }


def network_models(space: Space) -> dict[tuple[str, int], Exported]:
    """A network with each attention for every resolution."""
    return {
        (name, side): exported_network(space, Arch(space, {**preset.values, "resolution": side}))
        for name, preset in space.presets.items()
        for side in NETWORK_RESOLUTIONS
    }


def timed(models: Mapping[tuple[str, int], Exported], stride: int, rounds: int, path: Path) -> list[Row]:
    """A row for each model, from the file if it is there."""
    if path.with_suffix(".csv").exists():
        with path.with_suffix(".csv").open(newline="") as file:
            return list(csv.DictReader(file))
    say(f"timing {len(models)} models, {rounds} rounds: {path.name}")
    found = interleaved({f"{name} {side}": model for (name, side), model in models.items()}, rounds)
    rows: list[Row] = []
    for name, side in models:
        times = found[f"{name} {side}"]
        low, high = times.tail
        rows.append(
            {
                "attention": name,
                "resolution": side,
                "tokens": (side // stride) ** 2,
                "median ms": times.median,
                "5 %": low,
                "95 %": high,
                "rounds": rounds,
            }
        )
    write_tables(path.parent, path.name, rows)
    return rows


def upper_half(rows: Sequence[Row], name: str) -> tuple[list[float], list[float]]:
    """Tokens and median times of one kind of attention, from the middle token count on."""
    own = [row for row in rows if row["attention"] == name]
    upper = own[len(own) // 2 :]
    return [float(str(row["tokens"])) for row in upper], [float(str(row["median ms"])) for row in upper]


def verdict(name: str, found: Exponent) -> str:
    """What the rule says of an exponent."""
    if name == "softmax":
        return (
            "approaches a square"
            if found.low >= 1.5
            else "does not"
            if found.high < 1.5
            else "cannot be told"
        )
    return "linear" if found.high <= 1.1 else "not linear" if found.low > 1.1 else "cannot be told"
