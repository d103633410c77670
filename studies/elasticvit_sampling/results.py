"""Tables and figures of the study from its rows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from analysis import (
    BASE,
    GROUPS,
    PARTS,
    Drawn,
    Fidelity,
    Scores,
    by_sampler,
    cosine_curve,
    course_of,
    drawn_together,
    fidelity,
    gains,
    group_means,
    interval,
    rows_by_sampler,
    scores_of,
    walk_of,
)
from figures import (
    draw_accuracy,
    draw_conflict,
    draw_course,
    draw_fidelity,
    draw_gains,
    write_page,
    write_pngs,
)
from tables import Cells, Row, read_rows, write_table

PERCENT = 100.0


def write_results(output: Path, page: Path) -> None:
    """Tables and PNG figures beside the rows in `output`, all figures in the file `page`."""
    scores = by_sampler(read_rows(output / "accuracy.csv"))
    alone = scores_of(read_rows(output / "alone.csv"))
    cosines = rows_by_sampler(read_rows(output / "cosines.csv"))
    course = rows_by_sampler(read_rows(output / "course.csv"))
    found = fidelities(scores, alone)
    second = _second_training(alone)
    curves = {name: cosine_curve(_fixed(rows)) for name, rows in cosines.items()}
    together = {name: drawn_together(_together(rows)) for name, rows in cosines.items()}
    figures = {
        "accuracy": draw_accuracy(scores, alone),
        "gains": draw_gains(
            {
                name: [gains(each, scores[BASE], group) for group in GROUPS]
                for name, each in scores.items()
                if name != BASE
            }
        ),
        "fidelity": draw_fidelity(found, second),
        "conflict": draw_conflict(curves, together),
        "banks": draw_course(course_of(course["performance"])),
    }
    write_table(output, "groups", group_rows({**scores, "alone": alone}))
    write_table(output, "ranks", rank_rows(found, second))
    write_table(output, "gradients", gradient_rows(together, cosines))
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


def _second_training(alone: Scores) -> Fidelity | None:
    if len(alone.seeds) < 2:
        return None
    return fidelity(alone.accuracy[1], alone.accuracy[0], alone.groups)


def group_rows(scores: Mapping[str, Scores]) -> list[Row]:
    """Mean top-1 of each group in percent, and what it is above uniform sampling, with 95 % intervals over seeds."""
    rows: list[Row] = []
    for name, each in scores.items():
        for group in PARTS:
            mean, gain = interval(group_means(each, group)), gains(each, scores[BASE], group)
            rows.append(
                {
                    "sampler": name,
                    "group": group,
                    "seeds": mean.n,
                    "top-1 %": _percent(mean.mean),
                    "95 % from": _percent(mean.low),
                    "to": _percent(mean.high),
                    "above uniform": _percent(gain.mean),
                    "from": _percent(gain.low),
                    "to ": _percent(gain.high),
                }
            )
    return rows


def rank_rows(found: Mapping[str, list[Fidelity]], second: Fidelity | None) -> list[Row]:
    """Kendall τ and regret of each sampler, means over seeds with intervals."""
    every = {**found, **({"a second training alone": [second]} if second else {})}
    rows: list[Row] = []
    for name, each in every.items():
        tau, within = (interval(np.array([getattr(f, key) for f in each])) for key in ("kendall", "within"))
        regret = interval(np.array([f.regret for f in each]))
        rows.append(
            {
                "ranked by": name,
                "seeds": tau.n,
                "Kendall τ": round(tau.mean, 3),
                "95 % from": round(tau.low, 3),
                "to": round(tau.high, 3),
                "τ within groups": round(within.mean, 3),
                "from": round(within.low, 3),
                "to ": round(within.high, 3),
                "regret of top 5, points": _percent(regret.mean),
            }
        )
    return rows


def gradient_rows(together: Mapping[str, Drawn], cosines: Mapping[str, list[Cells]]) -> list[Row]:
    """Conflict among the subnets of one step, and among the same pairs of architectures in all supernets."""
    rows: list[Row] = []
    for name, drawn in together.items():
        fixed = np.array([float(row["cosine"]) for row in _fixed(cosines[name])])
        rows.append(
            {
                "sampler": name,
                "cosine within a step": round(drawn.cosine.mean, 3),
                "95 % from": round(drawn.cosine.low, 3),
                "to": round(drawn.cosine.high, 3),
                "negative within a step %": _percent(drawn.opposed),
                "ratio of MACs within a step": round(drawn.ratio, 2),
                "cosine of fixed pairs": round(float(fixed.mean()), 3),
                "negative of fixed pairs %": _percent(float((fixed < 0).mean())),
            }
        )
    return rows


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


def _fixed(rows: list[Cells]) -> list[Cells]:
    return [row for row in rows if row["pairs"] == "fixed"]


def _together(rows: list[Cells]) -> list[Cells]:
    return [row for row in rows if row["pairs"] != "fixed"]


def _percent(share: float) -> float:
    return round(PERCENT * share, 2)
