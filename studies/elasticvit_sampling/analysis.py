"""The numbers of the study's figures and tables, from its rows. Nothing is drawn here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, product

import numpy as np
from numpy.typing import NDArray
from protocol import SAMPLERS, VARIANTS
from tables import Cells

from nas.supernet.sampling.complexity import exploitation

Floats = NDArray[np.float64]

GROUPS = ("smallest", "small", "medium", "large")
DRAWN = ("levels", "space")
PARTS = tuple(f"{group}, {drawn}" for group in GROUPS[1:] for drawn in DRAWN)
BASE = "uniform"
ORDER = (BASE, *SAMPLERS[1:], *VARIANTS)
LEVEL = 0.95
TOP = (1, 5)
BINS = 6
ENDS = 2
LATE = 0.6


@dataclass(frozen=True)
class Scores:
    """Test accuracies of the same architectures under several seeds.

    Attributes:
        archs: `(n,)` ids.
        groups, drawn, macs: of each architecture, `(n,)`.
        seeds: `(s,)`.
        accuracy: top-1 in 0..1, `(s, n)`.
        loss: mean cross-entropy in nats, `(s, n)`.
    """

    archs: tuple[str, ...]
    groups: NDArray[np.str_]
    drawn: NDArray[np.str_]
    macs: Floats
    seeds: tuple[int, ...]
    accuracy: Floats
    loss: Floats


def scores_of(rows: Sequence[Cells]) -> Scores:
    """Rows of one sampler, or of the networks alone. Seeds that lack an architecture are left out."""
    archs = list(dict.fromkeys(row["arch"] for row in rows))
    found = {(int(row["seed"]), row["arch"]): row for row in rows}
    every = sorted({seed for seed, _ in found})
    seeds = tuple(seed for seed in every if all((seed, arch) in found for arch in archs))
    first = [next(row for row in rows if row["arch"] == arch) for arch in archs]
    shape = (len(seeds), len(archs))
    cells = [found[seed, arch] for seed, arch in product(seeds, archs)]
    return Scores(
        tuple(archs),
        np.array([row["group"] for row in first]),
        np.array([row["drawn"] for row in first]),
        np.array([float(row["macs"]) for row in first]),
        seeds,
        np.array([int(c["correct"]) / int(c["images"]) for c in cells]).reshape(shape),
        np.array([float(c["loss"]) for c in cells]).reshape(shape),
    )


def by_sampler(rows: Sequence[Cells]) -> dict[str, Scores]:
    """Scores of each sampler, in the order of `ORDER`."""
    return {name: scores_of(each) for name, each in rows_by_sampler(rows).items()}


def rows_by_sampler(rows: Sequence[Cells]) -> dict[str, list[Cells]]:
    """The rows of each sampler that there are rows of, in the order of `ORDER`."""
    found = {name: [row for row in rows if row["sampler"] == name] for name in ORDER}
    return {name: each for name, each in found.items() if each}


@dataclass(frozen=True)
class Interval:
    """A mean over `n` seeds and its 95 % interval (Student's t); NaN ends for one seed."""

    mean: float
    low: float
    high: float
    n: int


def interval(values: Floats) -> Interval:
    """Of the mean of `(n,)` values that are independent."""
    from scipy.stats import t

    n, mean = len(values), float(values.mean())
    if n < 2:
        return Interval(mean, float("nan"), float("nan"), n)
    half = float(t.ppf((1 + LEVEL) / 2, n - 1) * values.std(ddof=1) / np.sqrt(n))
    return Interval(mean, mean - half, mean + half, n)


def members(scores: Scores, group: str) -> NDArray[np.bool_]:
    """Which architectures are in a group, `(n,)`; `GROUP, levels` and `GROUP, space` are parts of one."""
    name, _, part = group.partition(", ")
    found = scores.groups == name
    return np.asarray(found & (scores.drawn == part) if part else found)


def group_means(scores: Scores, group: str) -> Floats:
    """Mean accuracy of a group's architectures, `(s,)`."""
    return np.asarray(scores.accuracy[:, members(scores, group)].mean(axis=1))


def gains(scores: Scores, base: Scores, group: str) -> Interval:
    """Mean accuracy of a group minus that of the base with the same seed: initial weights and images are the same."""
    return interval(seed_gains(scores, base, group))


def seed_gains(scores: Scores, base: Scores, group: str) -> Floats:
    """The gain of each seed that both have, `(s,)`."""
    return paired(
        dict(zip(scores.seeds, group_means(scores, group))), dict(zip(base.seeds, group_means(base, group)))
    )


def paired(ours: Mapping[int, float], base: Mapping[int, float]) -> Floats:
    """Differences of the seeds that both have, `(s,)`."""
    return np.array([value - base[seed] for seed, value in ours.items() if seed in base])


@dataclass(frozen=True)
class Fidelity:
    """How inherited accuracies rank architectures, against accuracies trained alone.

    Attributes:
        kendall: τ-b over all of them.
        within: mean of the groups' own τ-b, in which size says little.
        regrets: accuracy alone of the best architecture minus that of the best among the first one and the first five
            by inherited accuracy.
    """

    kendall: float
    within: float
    regrets: tuple[float, ...]


def fidelity(inherited: Floats, alone: Floats, groups: NDArray[np.str_]) -> Fidelity:
    """All `(n,)`, of the same architectures."""
    order = np.argsort(-inherited, kind="stable")
    several = [group for group in np.unique(groups) if (groups == group).sum() > 1]
    return Fidelity(
        _kendall(inherited, alone),
        float(np.mean([_kendall(inherited[groups == g], alone[groups == g]) for g in several])),
        tuple(float(alone.max() - alone[order[:first]].max()) for first in TOP),
    )


def _kendall(a: Floats, b: Floats) -> float:
    from scipy.stats import kendalltau

    return float(kendalltau(a, b).statistic)


@dataclass(frozen=True)
class Curve:
    """Geometric mean ratio `(b,)` and mean cosine, over seeds, of groups of pairs with neighbouring ratios."""

    centres: Floats
    means: tuple[Interval, ...]


def cosine_curve(rows: Sequence[Cells]) -> Curve:
    """Cosine over the ratio of MACs, in six groups of equally many pairs."""
    ratio = ratios(rows)
    parts = np.array_split(np.argsort(ratio, kind="stable"), BINS)
    return Curve(
        np.array([np.exp(np.log(ratio[part]).mean()) for part in parts]),
        tuple(interval(np.array(list(seed_cosines([rows[i] for i in part]).values()))) for part in parts),
    )


def ratios(rows: Sequence[Cells]) -> Floats:
    """MACs of the larger over MACs of the smaller subnet of each pair, `(n,)`, at least 1."""
    a, b = (np.array([float(row[key]) for row in rows]) for key in ("macs_a", "macs_b"))
    return np.asarray(np.maximum(a, b) / np.minimum(a, b))


def seed_cosines(rows: Sequence[Cells]) -> dict[int, float]:
    """Mean cosine of each seed's pairs."""
    seeds, cosine = (
        np.array([int(row["seed"]) for row in rows]),
        np.array([float(row["cosine"]) for row in rows]),
    )
    return {int(seed): float(cosine[seeds == seed].mean()) for seed in np.unique(seeds)}


@dataclass(frozen=True)
class Together:
    """Conflict in some pairs of subnets.

    Attributes:
        seeds: mean cosine of each seed's pairs.
        opposed: share of pairs whose cosine is negative.
        pairs: how many there are.
        ratio: geometric mean of the pairs' ratios of MACs.
    """

    seeds: Mapping[int, float]
    opposed: float
    pairs: int
    ratio: float

    @property
    def cosine(self) -> Interval:
        """Mean over seeds."""
        return interval(np.array(list(self.seeds.values())))


def together_of(rows: Sequence[Cells]) -> Together:
    """Of pairs that are compared with the same seeds everywhere."""
    negative = np.array([float(row["cosine"]) < 0 for row in rows])
    ratio = float(np.exp(np.log(ratios(rows)).mean()))
    return Together(seed_cosines(rows), float(negative.mean()), len(rows), ratio)


def drawn_pairs(rows: Sequence[Cells]) -> list[Cells]:
    """Pairs of different subnets that a sampler drew for the same step, the smallest subnet, its last, included."""
    return [row for row in rows if row["pairs"] != "fixed"]


def fixed_pairs(rows: Sequence[Cells]) -> list[Cells]:
    """Pairs of judged architectures, the same in every supernet."""
    return [row for row in rows if row["pairs"] == "fixed"]


def last_step(rows: Sequence[Cells]) -> list[Cells]:
    """Rows of the end of training."""
    last = max(int(row["step"]) for row in rows)
    return [row for row in rows if int(row["step"]) == last]


@dataclass(frozen=True)
class Course:
    """How a performance-aware sampler went, per point: steps `(p,)`, the rest means over seeds `(p,)`.

    Attributes:
        exploited: share of the draws since the point before.
        beta: the share that the schedule asks for since then.
        filled: entries of all banks over their capacity.
        best, mean: score of the banks' best entries and of all entries (minus cross-entropy in nats), mean over levels.
    """

    steps: Floats
    exploited: Floats
    beta: Floats
    filled: Floats
    best: Floats
    mean: Floats


def course_of(rows: Sequence[Cells]) -> Course:
    """Of the rows of one sampler with banks; seeds that are not finished are left out."""
    steps = sorted({int(row["step"]) for row in rows})
    every = sorted({int(row["seed"]) for row in rows})
    asked = [np.mean([exploitation(step, steps[-1]) for step in range(*ends)]) for ends in pairwise(steps)]
    seeds = [seed for seed in every if all(_at(rows, seed, step) for step in steps)]
    cells = {(seed, step): _at(rows, seed, step) for seed in seeds for step in steps}
    shares = [
        [_share(cells[seed, before], cells[seed, now]) for before, now in pairwise(steps)] for seed in seeds
    ]
    later = steps[1:]

    def mean(value: str) -> Floats:
        table = np.array([[_mean(cells[seed, step], value) for step in later] for seed in seeds])
        known = ~np.isnan(table)
        return np.asarray(
            np.where(known, table, 0).sum(axis=0) / np.where(known.any(axis=0), known.sum(axis=0), np.nan)
        )

    filled = [[_filled(cells[seed, step]) for step in later] for seed in seeds]
    return Course(
        np.array(later, dtype=np.float64),
        np.array(shares).mean(axis=0),
        np.array(asked),
        np.array(filled).mean(axis=0),
        mean("best"),
        mean("mean"),
    )


@dataclass(frozen=True)
class Walk:
    """How one supernet's steps fell on the levels.

    Attributes:
        low, high: share of all steps at the lowest and at the highest `ENDS` levels.
        low_late, high_late: the same of the steps since `LATE` of the training.
    """

    low: float
    high: float
    low_late: float
    high_late: float


def walk_of(rows: Sequence[Cells], seed: int) -> Walk:
    """Of the rows of one sampler with levels."""
    steps = sorted({int(row["step"]) for row in rows if int(row["seed"]) == seed})
    late = max(step for step in steps if step <= LATE * steps[-1])
    end, before = (
        np.array([int(row["visits"]) for row in _at(rows, seed, step)]) for step in (steps[-1], late)
    )
    since = end - before
    return Walk(
        *(float(v[part].sum() / v.sum()) for v in (end, since) for part in (slice(ENDS), slice(-ENDS, None)))
    )


def _at(rows: Sequence[Cells], seed: int, step: int) -> list[Cells]:
    return [row for row in rows if int(row["seed"]) == seed and int(row["step"]) == step]


def _share(before: Sequence[Cells], now: Sequence[Cells]) -> float:
    draws = int(now[0]["draws"]) - int(before[0]["draws"])
    return (int(now[0]["exploited"]) - int(before[0]["exploited"])) / max(draws, 1)


def _filled(rows: Sequence[Cells]) -> float:
    return sum(int(row["entries"]) for row in rows) / sum(int(row["capacity"]) for row in rows)


def _mean(rows: Sequence[Cells], key: str) -> float:
    values = [float(row[key]) for row in rows if row[key]]
    return float(np.mean(values)) if values else float("nan")
