"""Tables and figures of the study from its rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from analysis import (
    BASE,
    GROUPS,
    PARTS,
    TOP,
    Fidelity,
    Scores,
    Together,
    by_sampler,
    cosine_curve,
    course_of,
    drawn_pairs,
    fidelity,
    fixed_pairs,
    gains,
    group_means,
    interval,
    last_step,
    paired,
    rows_by_sampler,
    scores_of,
    seed_gains,
    together_of,
    walk_of,
)
from figures import draw_conflict, draw_course, draw_fidelity, draw_gains, write_page, write_pngs
from tables import PERCENT, Cells, Row, read_rows, write_table

ALONE = "alone"


def write_results(output: Path, page: Path) -> None:
    """Tables and PNG figures beside the rows in `output`, all figures in the file `page`."""
    scores = by_sampler(read_rows(output / "accuracy.csv"))
    alone = scores_of(read_rows(output / "alone.csv"))
    cosines = rows_by_sampler(read_rows(output / "cosines.csv"))
    course = rows_by_sampler(read_rows(output / "course.csv"))
    found = fidelities(scores, alone)
    fixed = {name: last_step(fixed_pairs(rows)) for name, rows in cosines.items()}
    together = {name: together_of(last_step(drawn_pairs(rows))) for name, rows in cosines.items()}
    curves = {name: cosine_curve(rows) for name, rows in fixed.items()}
    shown = (GROUPS[0], *PARTS)
    points = {
        name: {group: PERCENT * seed_gains(each, scores[BASE], group) for group in shown}
        for name, each in scores.items()
        if name != BASE
    }
    figures = {
        "gains": draw_gains(points),
        "fidelity": draw_fidelity(found),
        "conflict": draw_conflict(curves, together),
        "banks": draw_course(course_of(course["performance"])),
    }
    write_table(output, "groups", group_rows({**scores, ALONE: alone}))
    write_table(output, "ranks", rank_rows(found))
    write_table(output, "gradients", gradient_rows(cosines))
    write_table(output, "walks", walk_rows(course, scores))
    write_page(figures, page)
    write_pngs(figures, output)


def fidelities(scores: Mapping[str, Scores], alone: Scores) -> dict[str, list[Fidelity]]:
    """Of every sampler's supernets, one for each seed, against the mean accuracy alone."""
    truth = alone.accuracy.mean(axis=0)
    places = {arch: i for i, arch in enumerate(alone.archs)}
    found = {}
    for name, each in scores.items():
        order = [places[arch] for arch in each.archs]
        found[name] = [fidelity(row, truth[order], each.groups) for row in each.accuracy]
    return found


def group_rows(scores: Mapping[str, Scores]) -> list[Row]:
    """Mean top-1 of each group in percent, and what it is above uniform sampling, with 95 % intervals over seeds."""
    rows: list[Row] = []
    for name, each in scores.items():
        for group in (*GROUPS, *PARTS):
            mean, gain = interval(group_means(each, group)), gains(each, scores[BASE], group)
            row: dict[str, object] = {
                "sampler": name,
                "group": group,
                "seeds": mean.n,
                "top-1 %": _percent(mean.mean),
                "95 % from": _percent(mean.low),
                "to": _percent(mean.high),
            }
            # a network alone has no supernet's seed to be compared with
            points = (gain.mean, gain.low, gain.high) if name != ALONE else (float("nan"),) * 3
            rows.append(row | dict(zip(("above uniform", "from", "to "), map(_percent, points))))
    return rows


def rank_rows(found: Mapping[str, list[Fidelity]], second: Fidelity | None = None) -> list[Row]:
    """Kendall τ, means over seeds with intervals, and regret of each sampler, its mean and its worst seed.

    Args:
        second: of a second training alone.
    """
    every = {**found, **({"a second training alone": [second]} if second else {})}
    rows: list[Row] = []
    for name, each in every.items():
        tau, within = (interval(np.array([getattr(f, key) for f in each])) for key in ("kendall", "within"))
        regrets = np.array([f.regrets for f in each])
        row: dict[str, object] = {
            "ranked by": name,
            "seeds": tau.n,
            "Kendall τ": round(tau.mean, 3),
            "95 % from": round(tau.low, 3),
            "to": round(tau.high, 3),
            "τ within groups": round(within.mean, 3),
            "from": round(within.low, 3),
            "to ": round(within.high, 3),
        }
        for first, values in zip(TOP, regrets.T):
            row[f"regret of top {first}, points"] = _percent(values.mean())
            row[f"worst of top {first}"] = _percent(values.max())
        rows.append(row)
    return rows


def gradient_rows(cosines: Mapping[str, list[Cells]]) -> list[Row]:
    """Conflict among the subnets of one step, and among the same pairs of architectures in all supernets.

    Each at half and at the end of training, with the difference to uniform sampling with the same seed.
    """
    rows: list[Row] = []
    for name, each in cosines.items():
        for step in sorted({int(row["step"]) for row in each}):
            ours, base = (_conflict(at, step) for at in (each, cosines[BASE]))
            for which, found in ours.items():
                gain = interval(paired(found.seeds, base[which].seeds))
                rows.append(
                    {
                        "sampler": name,
                        "step": step,
                        "pairs": which,
                        "cosine": round(found.cosine.mean, 3),
                        "95 % from": round(found.cosine.low, 3),
                        "to": round(found.cosine.high, 3),
                        "above uniform": round(gain.mean, 3),
                        "from": round(gain.low, 3),
                        "to ": round(gain.high, 3),
                        "negative %": _percent(found.opposed),
                        "of": found.pairs,
                        "ratio of MACs": round(found.ratio, 2),
                    }
                )
    return rows


def _conflict(rows: Sequence[Cells], step: int) -> dict[str, Together]:
    now = [row for row in rows if int(row["step"]) == step]
    return {"of one step": together_of(drawn_pairs(now)), "the same": together_of(fixed_pairs(now))}


def walk_rows(course: Mapping[str, list[Cells]], scores: Mapping[str, Scores]) -> list[Row]:
    """Where each supernet's steps were, beside what its small and large subnets reach."""
    rows: list[Row] = []
    for name, each in scores.items():
        for at, seed in enumerate(each.seeds if course[name][0]["visits"] else ()):
            walk = walk_of(course[name], seed)
            rows.append(
                {
                    "sampler": name,
                    "seed": seed,
                    "steps at the two lowest levels %": _percent(walk.low),
                    "of the last 40 % of steps": _percent(walk.low_late),
                    "at the two highest levels %": _percent(walk.high),
                    "of the last 40 % of steps ": _percent(walk.high_late),
                    "small, top-1 %": _percent(float(group_means(each, "small")[at])),
                    "large, top-1 %": _percent(float(group_means(each, "large")[at])),
                }
            )
    return rows


def _percent(share: float) -> float:
    return round(PERCENT * share, 2)
