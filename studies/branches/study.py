"""RepViT's branches in training, against the same deployed network trained without them.

python studies/branches/study.py

It can be interrupted and run again: what is trained lies in the working folder.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "predictors"), str(HERE.parent / "shared")]

from drawing import COLOURS, Panel, figure  # noqa: E402
from forms import sameness, timed_forms  # noqa: E402
from seeds import Contender, Interval, Run, interval, paired, train  # noqa: E402
from steps import WARMUP, step_times  # noqa: E402
from study import Row, run, say, write_tables  # noqa: E402
from timing import ROUNDS, Times  # noqa: E402

from nas.files import write_atomically  # noqa: E402
from nas.pipeline.metrics import CheapMetrics  # noqa: E402
from nas.space.load import load_space  # noqa: E402

SPACE, DATA = HERE / "space.yaml", "digits"
NAMES = {
    "branches": "3×3, 1×1 and identity",
    "plain": "3×3 alone",
    "residual": "3×3 and a shortcut that stays",
}
MARGIN = 0.01


def main() -> None:
    """Run the study and write its tables and figure."""
    parser = argparse.ArgumentParser(
        prog="python studies/branches/study.py", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--seeds", type=int, default=6, help="trainings of each (default 6)")
    parser.add_argument("--steps", type=int, default=400, help="training steps (default 400)")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"timed rounds (default {ROUNDS})")
    parser.add_argument("--work", type=Path, default=Path("branches-work"), help="working folder")
    parser.add_argument("--output", type=Path, default=HERE, help="folder for tables and figure")
    options = parser.parse_args()
    output = options.output.resolve()
    options.work.mkdir(parents=True, exist_ok=True)
    os.chdir(options.work)
    ways = {name: Contender(name, f"{SPACE}:{name}", (f"train.steps={options.steps}",)) for name in NAMES}
    runs = {name: _trained(ways[name], options.seeds) for name in NAMES}
    rows = [_row(one) for found in runs.values() for one in found]
    write_tables(output, "results", rows)
    say("times")
    steps = step_times(ways, DATA, min(options.rounds, options.steps - WARMUP - 1))
    write_tables(output, "summary", [_summary(name, rows, steps[name]) for name in NAMES])
    write_tables(output, "differences", [_difference(name, rows) for name in ("plain", "residual")])
    times = timed_forms(runs["branches"][0], runs["plain"][0], options.rounds)
    write_tables(output, "times", [_time_row(name, taken) for name, taken in times.items()])
    write_atomically(output / "branches.svg", draw(rows, times))


def _trained(contender: Contender, seeds: int) -> list[Run]:
    found = []
    for seed in range(seeds):
        say(f"{NAMES[contender.name]}, seed {seed}")
        found.append(train(contender, DATA, seed))
    return found


def _row(one: Run) -> Row:
    same = sameness(one)
    return {
        "mixer": one.contender.name,
        "seed": one.seed,
        "top-1": one.top1,
        "cross-entropy": one.loss,
        "deployed: largest relative error": f"{same.error:.2g}",
        "deployed: images classified otherwise": same.changed,
    }


def _values(name: str, rows: list[Row], key: str) -> list[float]:
    return [float(str(row[key])) for row in rows if row["mixer"] == name]


def _summary(name: str, rows: list[Row], step: Times) -> Row:
    space = load_space(str(SPACE))
    costs = CheapMetrics(space).metrics(space.encode([space.presets[name].values]))[0]
    return {
        "trained with": NAMES[name],
        "MACs, deployed": int(costs["macs"].value),
        "parameters, deployed": int(costs["params"].value),
        "parameters, trained": int(costs["train_params"].value),
        "top-1, mean and 95 %": interval(_values(name, rows, "top-1")).points(),
        "cross-entropy, mean": float(np.mean(_values(name, rows, "cross-entropy"))),
        "ms per training step, median (5–95 %)": step.shown,
        "seeds": len(_values(name, rows, "top-1")),
        "timed steps": len(step.runs),
    }


def _difference(name: str, rows: list[Row]) -> Row:
    """Branches minus another, seed by seed."""
    top1 = paired(_values("branches", rows, "top-1"), _values(name, rows, "top-1"))
    loss = paired(_values("branches", rows, "cross-entropy"), _values(name, rows, "cross-entropy"))
    return {
        "branches minus": NAMES[name],
        "top-1, points and 95 %": top1.difference(),
        "accuracy": _verdict(top1),
        "cross-entropy": f"{loss.mean:+.3f} ({loss.low:+.3f} to {loss.high:+.3f})".replace("-", "−"),
    }


def _verdict(found: Interval) -> str:
    if found.low > 0:
        return "better"
    if found.high < 0:
        return "worse"
    return "the same" if max(-found.low, found.high) < MARGIN else "cannot be told"


def _time_row(name: str, taken: Times) -> Row:
    return {"network": name, "ms, median (5–95 %)": taken.shown, "rounds": len(taken.runs)}


def draw(rows: list[Row], times: Mapping[str, Times]) -> str:
    """Top-1 of every seed; times of the five networks."""
    top1 = [float(str(row["top-1"])) for row in rows]
    low, high = min(top1) - 0.005, max(top1) + 0.005
    seeds = len(_values("plain", rows, "top-1"))
    accuracy = Panel(
        "top-1 of every seed", "seed", "top-1", (-0.5, seeds - 0.5), (low, high),
        ticks=(range(seeds), [round(float(value), 3) for value in np.linspace(low, high, 4)]),
    )  # fmt: skip
    for name, colour in zip(NAMES, COLOURS):
        accuracy.dots([(n, value) for n, value in enumerate(_values(name, rows, "top-1"))], colour, 4)
    panels = [accuracy]
    shown = (
        ("small networks", "trained form, deployed, plain deployed", list(times)[:3]),
        ("RepViT-M0.9, 224 px", "trained form, deployed", list(times)[3:]),
    )
    for title, across, names in shown:
        most = max(times[name].tail[1] for name in names)
        ticks = [round(most * share, 2) for share in (0.25, 0.5, 0.75, 1)]
        panel = Panel(title, across, "ms", (-0.6, len(names) - 0.4), (0, 1.1 * most), ticks=((), ticks))
        for place, name in enumerate(names):
            panel.line([(place, times[name].tail[0]), (place, times[name].tail[1])], COLOURS[4])
            panel.dots([(place, times[name].median)], COLOURS[1 if "plain" in name else 0], 4)
        panels.append(panel)
    return figure(panels, 3, list(zip(NAMES.values(), COLOURS)))


if __name__ == "__main__":
    run(main)
