"""Fused stages and their training steps, a reward that knows the step, and progressive learning.

python studies/fused_stages/study.py

It can be interrupted and run again: what is timed and trained lies in the working folder.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "predictors"), str(HERE.parent / "shared")]

import numpy as np  # noqa: E402
import torch  # noqa: E402
from drawing import COLOURS, Panel, figure  # noqa: E402
from progress import COURSES, STEPS, Outcomes, course_rows, outcomes, step_rows  # noqa: E402
from rewards import network_rows, ratio, reward_verdict, stage_rows  # noqa: E402
from seeds import SEEDS, Contender  # noqa: E402
from step_ratios import one_fused, step_times  # noqa: E402
from study import run, say, write_tables  # noqa: E402
from timing import Times  # noqa: E402
from trained import trained  # noqa: E402

from nas.files import write_atomically  # noqa: E402
from nas.space.load import load_space  # noqa: E402
from nas.space.space import Space  # noqa: E402

SPACE = HERE / "space.yaml"
COMMON = ("train.resolution_scale=1", "train.batch=16")


def main() -> None:
    """Run the study and write its tables and figure."""
    parser = argparse.ArgumentParser(
        prog="python studies/fused_stages/study.py", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--rounds", type=int, default=40, help="timed steps of each network (default 40)")
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"trainings of each kind (default {SEEDS})")
    parser.add_argument(
        "--steps", type=int, default=120, help="of trainings that compare stages (default 120)"
    )
    parser.add_argument("--work", type=Path, default=Path("fused-work"), help="working folder")
    parser.add_argument("--output", type=Path, default=HERE, help="folder for tables and figure")
    options = parser.parse_args()
    output = options.output.resolve()
    options.work.mkdir(parents=True, exist_ok=True)
    os.chdir(options.work)
    torch.set_num_threads(1)
    space, folder = load_space(SPACE), Path("trained")
    times = _steps(space, options.rounds, Path("steps.json"))
    stages = stage_rows(space, one_fused(space), times)
    write_tables(output, "stages", stages)
    for row in stages:
        say(" ".join(str(cell) for cell in row.values()))
    tops = _tops(space, options.seeds, options.steps, folder)
    write_tables(output, "networks", network_rows(space, tops, times))
    verdict = reward_verdict(space, tops, times)
    say(verdict)
    found = outcomes(SPACE, COMMON, options.seeds, folder)
    write_tables(output, "progressive", course_rows(found))
    write_tables(output, "progressive-steps", step_rows(found))
    write_tables(output, "verdicts", [{"question": "training-aware reward", "answer": verdict}])
    write_atomically(output / "fused.svg", draw(space, times, found))


def _steps(space: Space, rounds: int, path: Path) -> dict[str, Times]:
    """Steps of all networks by name, the single stages among them; from the file if it is there."""
    if not path.exists():
        archs = {**space.presets, **one_fused(space)}
        say(f"training steps of {len(archs)} networks, {rounds} rounds")
        found = step_times(space, SPACE, archs, rounds)
        write_atomically(path, json.dumps({name: one.runs.tolist() for name, one in found.items()}))
    return {name: Times(np.array(runs)) for name, runs in json.loads(path.read_text()).items()}


def _tops(space: Space, seeds: int, steps: int, folder: Path) -> dict[str, list[float]]:
    """Top-1 of each network, a number for each seed."""
    settings = (*COMMON, f"train.steps={steps}")
    return {
        name: [
            trained(Contender(f"alone-{steps}", f"{SPACE}:{name}", settings), seed, folder).top1
            for seed in range(seeds)
        ]
        for name in space.presets
    }


def draw(space: Space, times: Mapping[str, Times], found: Outcomes) -> str:
    """Steps by fused stage, over that of none; and top-1 over processor seconds for each course."""
    ratios = [ratio(times[stage], times["none"]) for stage in one_fused(space)]
    ends = (min(one.low for one in ratios) - 0.03, max(one.high for one in ratios) + 0.03)
    stages = Panel(
        "training step, one stage fused", "stage", "over none fused", (0.5, 6.5), ends,
        ticks=(range(1, 7), [t for t in (0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3) if ends[0] < t < ends[1]]),
    )  # fmt: skip
    stages.line([(0.5, 1.0), (6.5, 1.0)], COLOURS[4], dashed=True)
    for stage, one in enumerate(ratios, start=1):
        stages.line([(stage, one.low), (stage, one.high)], COLOURS[0])
        stages.dots([(stage, one.mean)], COLOURS[0], 3)
    lines = {course: _mean_points(course, found) for course in COURSES}
    every = [point for points in lines.values() for point in points]
    xs = (0.0, max(x for x, _ in every) * 1.05)
    ys = (min(y for _, y in every) - 3, 100.0)
    ticks = (np.linspace(0, round(xs[1]), 5).round(1).tolist(), [t for t in range(0, 101, 10) if t > ys[0]])
    course_panel = Panel("progressive learning", "processor s", "top-1 %", xs, ys, ticks=ticks)
    for points, colour in zip(lines.values(), COLOURS):
        course_panel.line(points, colour)
        course_panel.dots(points, colour, 2.5)
    return figure([stages, course_panel], 2, list(zip(COURSES, COLOURS)))


def _mean_points(course: str, found: Outcomes) -> Sequence[tuple[float, float]]:
    means = []
    for steps in STEPS:
        some = found[course, steps]
        means.append(
            (float(np.mean([o.seconds for o in some])), 100 * float(np.mean([o.top1 for o in some])))
        )
    return means


if __name__ == "__main__":
    run(main)
