"""The first command of every new user over seeds: beside its presets, random search and NSGA-II of the same seconds.

python studies/first_command/study.py [--seeds 10] [--first 0]

It can be interrupted and run again: finished searches lie in the storage of the working folder. Two commands with other
seeds may share that folder; the last one draws the tables.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "predictors"))

from drawing import COLOURS, Panel, figure  # noqa: E402
from study import Row, run, say, write_tables  # noqa: E402

import nas  # noqa: E402
from nas.accuracy.predictor import rank_correlation  # noqa: E402
from nas.files import write_atomically  # noqa: E402
from nas.pipeline.progress import Silent  # noqa: E402
from nas.search.pareto import hypervolume  # noqa: E402
from nas.store import Preset, Storage, StudyRow, TrialRow  # noqa: E402

SPACE, DEVICE, OURS = "elasticvit", "pixel6", "predictor"
RIVALS = ("random", "nsga2")
SEEDS, ENOUGH = 10, 9
"""Searches, and how many of them must be won: decided before the first was run."""
TRUSTED = 0.7
"""Kendall's tau of what guides the search that is enough: decided before the first was run."""


@dataclass(frozen=True)
class Finished:
    """One finished search.

    Attributes:
        volume: hypervolume of its front with accuracies on test images, as a share of that of all its seed's
            searches and presets together.
        seen: the same with accuracies on the search images, by which the front was chosen.
    """

    seed: int
    method: str
    row: StudyRow
    front: list[TrialRow]
    volume: float
    seen: float


def main() -> None:
    """Run the searches and write their tables and figure."""
    parser = argparse.ArgumentParser(
        prog="python studies/first_command/study.py", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--first", type=int, default=0, help="first seed (default 0)")
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"how many (default {SEEDS})")
    parser.add_argument("--work", type=Path, default=Path("first-command-work"), help="working folder")
    parser.add_argument("--output", type=Path, default=HERE, help="folder for tables and figure")
    options = parser.parse_args()
    output = options.output.resolve()
    options.work.mkdir(parents=True, exist_ok=True)
    os.chdir(options.work)
    for seed in range(options.first, options.first + options.seeds):
        search(OURS, seed)
        for method in RIVALS:
            search(method, seed, like=f"{OURS}-{seed}")
    store = Storage(None, read_only=True)
    done = [seed for seed in range(SEEDS) if _finished(store, f"{RIVALS[-1]}-{seed}")]
    seeds = [of_seed(store, seed) for seed in done]
    write_tables(output, "results", [_row(store, *searches) for searches in seeds])
    summary = _summary(store, seeds)
    write_tables(output, "summary", summary)
    for row in summary:
        say(" | ".join(str(cell) for cell in row.values()))
    write_atomically(output / "fronts.svg", draw(store, seeds))


def search(method: str, seed: int, like: str = "") -> None:
    """One search, unless it is finished; on one thread, so that two seeds can be searched side by side.

    Args:
        like: study whose weights are used, and whose seconds of searching are spent: as many evaluations as its own
            evaluations would have been possible in them.
    """
    name = f"{method}-{seed}"
    store = Storage(None)
    if _finished(store, name):
        return
    count = None if not like else _affordable(store, store.study(like))
    say(f"{name}: {'the first command' if count is None else f'{count} evaluations'}")
    nas.run(
        SPACE, device=DEVICE, seed=seed, strategy=method, n_trials=count, supernet=like or None, study_name=name,
        resume=any(study.name == name for study in store.studies()), settings=["threads=1"],
        reporter=Silent(),
    )  # fmt: skip


def _finished(store: Storage, name: str) -> bool:
    return any(study.name == name and study.state == "finished" for study in store.studies())


def _affordable(store: Storage, study: StudyRow) -> int:
    """Evaluations that a search's seconds pay for, by what its own took."""
    each = [trial.wall_s for trial in store.trials(study.id) if trial.wall_s]
    return round(study.facts["wall_s"]["search"] / float(np.mean(each)))


def of_seed(store: Storage, seed: int) -> list[Finished]:
    """The searches of a seed, ours first; volumes share corner and whole."""
    rows = [store.study(f"{method}-{seed}") for method in (OURS, *RIVALS)]
    corner = rows[0].reference_point
    assert corner is not None  # a finished run has one
    fronts = [store.front(row.id) for row in rows]
    at = [corner["accuracy"], corner["latency"]]
    points = [_final(front) for front in fronts]
    together = np.concatenate([*points, _of_presets(store.presets(rows[0].id))])
    whole = hypervolume(together, at, ("max", "min"))
    volumes = [hypervolume(own, at, ("max", "min")) / whole for own in points]
    chosen = [_searched(front) for front in fronts]
    most = hypervolume(np.concatenate(chosen), at, ("max", "min"))
    seen = [hypervolume(own, at, ("max", "min")) / most for own in chosen]
    return [
        Finished(seed, method, row, front, *scores)
        for method, row, front, *scores in zip((OURS, *RIVALS), rows, fronts, volumes, seen, strict=True)
    ]


def _final(front: list[TrialRow]) -> np.ndarray:
    """Accuracy on test images and latency, `(n, 2)`."""
    return np.array([[row.at("final")["accuracy"].value, row.metrics["latency"].value] for row in front])


def _searched(front: list[TrialRow]) -> np.ndarray:
    """Accuracy on search images and latency, `(n, 2)`."""
    return np.array([[row.metrics["accuracy"].value, row.metrics["latency"].value] for row in front])


def _of_presets(presets: list[Preset]) -> np.ndarray:
    inside = [preset for preset in presets if "accuracy" in preset.metrics]
    return np.array([[p.metrics["accuracy"].value, p.metrics["latency"].value] for p in inside])


def _row(store: Storage, ours: Finished, *rivals: Finished) -> Row:
    facts, final = ours.row.facts, _final(ours.front)
    beside, seconds = facts["beside_presets"], facts["wall_s"]
    return {
        "seed": ours.seed,
        "ours": ours.volume,
        **{rival.method: rival.volume for rival in rivals},
        "on search images": "/".join(f"{each.seen:.3f}" for each in (ours, *rivals)),
        "evaluations": "/".join(str(each.row.n_complete) for each in (ours, *rivals)),
        "presets reached": f"{beside['reached']} of {beside['presets']}",
        "presets ahead": ", ".join(beside["ahead"]) or "none",
        "tau of predictions": facts["predictor"]["kendall"],
        "tau of looks": facts["looks"]["kendall"],
        "tau with test images": _tau_of_finals(store, ours),
        "least top-1": float(final[:, 0].min()),
        "most top-1": float(final[:, 0].max()),
        "training s": round(seconds["supernet"]),
        "search s": round(seconds["search"]),
        "final s": round(seconds["final"]),
    }


def _tau_of_finals(store: Storage, ours: Finished) -> float:
    """Kendall's tau of expectations and accuracies on test images, of the front's members that had expectations."""
    expected = {number: data["predicted"] for number, data in store.series(ours.row.id, "predictor")}
    pairs = [
        (expected[row.number], row.at("final")["accuracy"].value)
        for row in ours.front
        if row.number in expected and np.isfinite(expected[row.number])
    ]
    return rank_correlation(*np.array(pairs).T) if len(pairs) > 2 else float("nan")


def _summary(store: Storage, seeds: list[list[Finished]]) -> list[Row]:
    ours = np.array([searches[0].volume for searches in seeds])
    facts = [searches[0].row.facts for searches in seeds]
    rows = []
    for index, method in enumerate(RIVALS, start=1):
        theirs = np.array([searches[index].volume for searches in seeds])
        wins = int((ours > theirs).sum())
        rows.append(
            _verdict(
                f"more hypervolume on test images than {method}",
                f"{wins} of {len(ours)} seeds, {ours.mean():.3f} to {theirs.mean():.3f}",
                wins >= ENOUGH * len(ours) / SEEDS,
            )
        )
        seen = [(searches[0].seen, searches[index].seen) for searches in seeds]
        ahead = sum(first > second for first, second in seen)
        rows.append(
            _verdict(
                f"beside the rule: more on search images than {method}",
                f"{ahead} of {len(seen)} seeds",
                ahead >= ENOUGH * len(seen) / SEEDS,
            )
        )
    reached = [fact["beside_presets"]["reached"] for fact in facts]
    presets = facts[0]["beside_presets"]["presets"]
    ahead = sum(bool(fact["beside_presets"]["ahead"]) for fact in facts)
    taus = np.array([fact["predictor"]["kendall"] for fact in facts])
    return [
        *rows,
        _verdict(
            f"equals or dominates {presets - 1} of {presets} presets",
            f"median {np.median(reached):g}, least {min(reached)}",
            bool(np.median(reached) >= presets - 1),
        ),
        _verdict("no preset is ahead beyond the noise", f"{ahead} seeds with one", ahead == 0),
        _verdict(
            f"Kendall's tau of predictions is {TRUSTED} or more",
            f"median {np.median(taus):.2f}, {taus.min():.2f} to {taus.max():.2f}",
            bool(np.median(taus) >= TRUSTED),
        ),
    ]


def _verdict(claim: str, seen: str, holds: bool) -> Row:
    return {"claim": claim, "seen": seen, "holds": "yes" if holds else "no"}


def draw(store: Storage, seeds: list[list[Finished]]) -> str:
    """Test accuracy over latency, all seeds together: presets grey, each method in its color."""
    presets = np.concatenate([_of_presets(store.presets(searches[0].row.id)) for searches in seeds])
    panels = []
    for index, method in enumerate((OURS, *RIVALS)):
        panel = Panel(
            method, "latency, ms", "top-1, test images", (2, 60), (0.0, 0.8), log=(True, False),
            ticks=((3, 10, 30), (0.2, 0.4, 0.6, 0.8)),
        )  # fmt: skip
        panel.dots([(float(x), float(y)) for y, x in presets], "#999999")
        for searches in seeds:
            points = _final(searches[index].front)
            order = np.argsort(points[:, 1])
            panel.line([(float(points[i, 1]), float(points[i, 0])) for i in order], COLOURS[index])
        panels.append(panel)
    legend = [("presets", "#999999"), *zip((OURS, *RIVALS), COLOURS)]
    return figure(panels, 3, legend)


if __name__ == "__main__":
    run(main)
