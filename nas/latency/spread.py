"""How far a network's latency may be off, given how far its units may be.

Units' errors partly cancel and partly point one way. With σ_i the standard deviation of unit i in ms and ρ the
correlation of two units' errors, `var = (1 - ρ) Σσ² + ρ (Σσ)²`; half the 90 % interval is `factor · √var`. ρ and
the factor are found from networks all of whose units were predicted by models that had not seen them. Units that
are only `estimated` share their errors' causes and add up in full. Intervals are of the logarithm: a network's
low end is above 0.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from nas.latency.report import Errors, SpreadReport
from nas.latency.rows import RowIndex
from nas.latency.slots import units_of
from nas.latency.statistics import NORMAL, student_quantile, upper_quantile
from nas.latency.times import CODES, FloatArray, UnitTimes
from nas.latency.validation import HeldOut
from nas.space.batch import ArchBatch, concatenate
from nas.space.space import Space

COLUMNS = ("sigma", "variance", "shared")
_NETWORKS = 2_000
_MOST = 0.3
_LEAST_UNITS, _LEAST_KNOWN = 10, 0.9
_LAYERS, _REPEATS = (10, 40), 3


def unit_columns(times: UnitTimes) -> FloatArray:
    """What networks add up of their units, shape `(n, 3)`: σ and σ² in ms, and σ of `estimated` units apart."""
    sigma, shared = times.sigma, times.provenance == CODES["estimated"]
    own = np.where(shared, 0.0, sigma)
    return np.stack([own, own**2, np.where(shared, sigma, 0.0)], axis=1)


def half_width(values: Mapping[str, FloatArray], spread: SpreadReport | None) -> FloatArray:
    """Half the width of the 90 % interval of `log(true / sum)`, shape `(n,)`.

    Args:
        values: sums over each network's units: `latency` in ms and the columns of `unit_columns`.
        spread: how they add up; None: in full.
    """
    correlation, factor = (spread.correlation, spread.factor) if spread else (1.0, NORMAL)
    own = (1 - correlation) * values["variance"] + correlation * values["sigma"] ** 2
    ms = values["latency"]
    half = np.sqrt(factor**2 * own + (NORMAL * values["shared"]) ** 2)
    return np.divide(half, ms, out=np.zeros_like(ms), where=ms > 0)


def fit_spread(
    held: Mapping[str, HeldOut], spaces: Sequence[Space], seed: int, free: Collection[str] = ()
) -> SpreadReport | None:
    """ρ and the factor, from half of some sampled networks, and their coverage on the other half.

    Args:
        held: timed units by kind.
        spaces: whose networks are taken, if the timed units make up nine tenths of their layers; otherwise
            the networks are sets of 10 to 40 different units, each there one to three times.
        seed: of the networks.
        free: kinds of unit that cost no time of their own.

    Returns:
        None for fewer than ten units.
    """
    units = sum(len(one.rows) for one in held.values())
    if units < _LEAST_UNITS:
        return None
    sums = _of_spaces(held, spaces, seed, free)
    source = "sets" if sums is None else "spaces"
    sums = _of_sets(held, seed) if sums is None else sums
    chosen, tested = sums[::2], sums[1::2]
    errors = np.abs(_error(chosen))
    # What a kind's few units agree on in error, all others of the kind may share: ρ is at least that much.
    grid = np.linspace(min(len(held) / units, _MOST), _MOST, 31)
    correlation = min(grid, key=lambda value: _surprise(errors, _variance(chosen, value)))
    factor = upper_quantile(errors / np.sqrt(_variance(chosen, correlation)))
    # The networks are many, but the units whose errors make them up may be few.
    factor *= student_quantile(units / len(held) / 2) / NORMAL
    within = np.abs(_error(tested)) <= factor * np.sqrt(_variance(tested, correlation))
    return SpreadReport(
        correlation=float(correlation),
        factor=factor,
        errors=Errors.of(tested[:, 0], tested[:, 1]),
        coverage=float(within.mean()),
        source=source,
    )


def _error(sums: FloatArray) -> FloatArray:
    true, predicted = sums[:, 0], sums[:, 1]
    return predicted * np.log(true / predicted)


def _variance(sums: FloatArray, correlation: float) -> FloatArray:
    return np.maximum((1 - correlation) * sums[:, 3] + correlation * sums[:, 2] ** 2, 1e-24)


def _surprise(errors: FloatArray, variance: FloatArray) -> float:
    """Negative log likelihood of normal errors whose variance is known up to one factor."""
    return float(np.mean(np.log(variance)) + np.log(np.mean(errors**2 / variance) + 1e-24))


def _of_spaces(
    held: Mapping[str, HeldOut], spaces: Sequence[Space], seed: int, free: Collection[str]
) -> FloatArray | None:
    """Sums `(n, 4)` over sampled networks of the spaces, without the layers whose units are not timed."""
    found, known, layers = [], 0, 0
    for space in spaces:
        batch = sample_networks(space, _NETWORKS // len(spaces), seed)
        sums, slots = np.zeros((len(batch), 4)), space.lower(batch)
        for kind in dict.fromkeys(slot.kind for slot in slots):
            rows, network = units_of([slot for slot in slots if slot.kind == kind], len(batch))
            if kind in free:
                continue
            layers += len(rows)
            if kind in held:
                at = RowIndex(held[kind].rows).find(rows)
                known += int((at >= 0).sum())
                np.add.at(sums, network[at >= 0], held[kind].columns[at[at >= 0]])
        found.append(sums[sums[:, 0] > 0])
    return np.concatenate(found) if layers and known >= _LEAST_KNOWN * layers else None


def sample_networks(space: Space, count: int, seed: int) -> ArchBatch:
    """`count` archs, shuffled: half uniform over the space, half with every decision uniform."""
    parts = [
        space.sample(count // 2, seed=seed),
        space.sample(count - count // 2, seed=seed + 1, distribution="per-decision"),
    ]
    return concatenate(parts)[np.random.default_rng(seed).permutation(count)]


def _of_sets(held: Mapping[str, HeldOut], seed: int) -> FloatArray:
    """Sums `(n, 4)` over random sets of units, every kind equally likely."""
    rng = np.random.default_rng(seed)
    columns = np.concatenate([units.columns for units in held.values()])
    chance = np.concatenate([np.full(len(u.rows), 1 / len(u.rows) / len(held)) for u in held.values()])
    low, high = _LAYERS
    at = rng.choice(len(columns), size=(_NETWORKS, high), p=chance)
    times = rng.integers(1, _REPEATS + 1, size=at.shape)
    times[np.arange(high) >= rng.integers(low, high + 1, size=(_NETWORKS, 1))] = 0
    return np.asarray((columns[at] * times[:, :, None]).sum(axis=1))
