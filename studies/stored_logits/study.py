"""Teachers' answers stored sparsely against live teachers and against none: accuracy, bytes on disk, time per step.

python studies/stored_logits/study.py

It can be interrupted and run again: what is trained and stored lies in the working folder.
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
from lessons import DATA, KS, LABELS, LIVE, WAYS, Lessons, stored_at  # noqa: E402
from seeds import Run, interval, paired, train  # noqa: E402
from steps import WARMUP, step_times  # noqa: E402
from study import Row, run, say, write_tables  # noqa: E402
from timing import Times  # noqa: E402

from nas.files import write_atomically  # noqa: E402

CLASSES, HALF, SINGLE = 10, 2, 4


def main() -> None:
    """Run the study and write its tables and figure."""
    parser = argparse.ArgumentParser(
        prog="python studies/stored_logits/study.py", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--seeds", type=int, default=6, help="trainings of each (default 6)")
    parser.add_argument("--steps", type=int, default=220, help="the student's training steps (default 220)")
    parser.add_argument("--teacher-steps", type=int, default=300, help="the teachers' (default 300)")
    parser.add_argument("--rounds", type=int, default=60, help="timed training steps of each (default 60)")
    parser.add_argument("--work", type=Path, default=Path("stored-logits-work"), help="working folder")
    parser.add_argument("--output", type=Path, default=HERE, help="folder for tables and figure")
    options = parser.parse_args()
    output = options.output.resolve()
    options.work.mkdir(parents=True, exist_ok=True)
    os.chdir(options.work)
    lessons = Lessons(options.steps, options.teacher_steps)
    say("teachers")
    taught = lessons.train_teachers()
    runs = {way: _trained(lessons, way, options.seeds) for way in WAYS}
    write_tables(output, "results", [_row(way, one) for way in WAYS for one in runs[way]])
    say("time per step")
    contenders = {way: lessons.contender(way, 0) for way in WAYS}
    times = step_times(contenders, DATA, min(options.rounds, options.steps - WARMUP - 1))
    write_tables(output, "summary", [_summary(way, runs, times[way], lessons) for way in WAYS])
    write_tables(output, "teachers", [{"teacher": name, "top-1": top1} for name, top1 in taught.items()])
    write_atomically(output / "stored_logits.svg", draw(runs, times, lessons))


def _trained(lessons: Lessons, way: str, seeds: int) -> list[Run]:
    found = []
    for seed in range(seeds):
        say(f"{way}, seed {seed}")
        found.append(train(lessons.contender(way, seed), DATA, seed))
    return found


def _row(way: str, one: Run) -> Row:
    return {"way": way, "seed": one.seed, "top-1": one.top1, "cross-entropy": one.loss}


def _summary(way: str, runs: Mapping[str, list[Run]], taken: Times, lessons: Lessons) -> Row:
    top1 = {name: [one.top1 for one in found] for name, found in runs.items()}
    return {
        "way": way,
        "top-1, mean and 95 %": interval(top1[way]).points(),
        "minus live teachers": paired(top1[way], top1[LIVE]).difference(),
        "minus labels alone": paired(top1[way], top1[LABELS]).difference(),
        "cross-entropy, mean": float(np.mean([one.loss for one in runs[way]])),
        "largest error of a probability": _error(way, lessons),
        "bytes per view": _bytes(way, lessons),
        "ms per step, median (5–95 %)": taken.shown,
        "seeds": len(top1[way]),
        "timed steps": len(taken.runs),
    }


def _top(way: str) -> int:
    """K of a way that reads what is stored, else 0."""
    return next((top for top in KS if stored_at(top) == way), 0)


def _bytes(way: str, lessons: Lessons) -> str:
    top = _top(way)
    return f"{lessons.bytes_per_view(top, 0):.2f}" if top else "none"


def _error(way: str, lessons: Lessons) -> str:
    top = _top(way)
    return f"{lessons.largest_error(top, 0):.2g}" if top else "none"


def draw(runs: Mapping[str, list[Run]], times: Mapping[str, Times], lessons: Lessons) -> str:
    """Top-1 of every seed; bytes per view, with the dense forms dashed; time per step."""
    every = [one.top1 for found in runs.values() for one in found]
    low, high = min(every) - 0.01, max(every) + 0.01
    places = range(len(WAYS))
    names = "1 labels, 2 live, 3 to 5 stored"
    ticks = [round(float(value), 3) for value in np.linspace(low, high, 4)]
    accuracy = Panel("top-1 of every seed", names, "top-1", (-0.6, 4.6), (low, high), ticks=((), ticks))
    size = Panel("bytes per view", "K", "bytes", (0, 11), (0, 45), ticks=(KS, (0, 10, 20, 30, 40)))
    size.line([(top, lessons.bytes_per_view(top, 0)) for top in KS], COLOURS[2])
    for width in (HALF, SINGLE):
        size.line([(0, width * CLASSES), (11, width * CLASSES)], COLOURS[4], dashed=True)
    most = max(taken.tail[1] for taken in times.values())
    cost = Panel(
        "time per training step", names, "ms", (-0.6, 4.6), (0, 1.1 * most),
        ticks=((), [round(most * share, 1) for share in (0.25, 0.5, 0.75, 1)]),
    )  # fmt: skip
    for place, way in zip(places, WAYS):
        accuracy.dots([(place, one.top1) for one in runs[way]], COLOURS[place], 4)
        low, high = times[way].tail
        cost.line([(place, low), (place, high)], COLOURS[place])
        cost.dots([(place, times[way].median)], COLOURS[place], 4)
    return figure([accuracy, size, cost], 3, list(zip(WAYS, COLOURS)))


if __name__ == "__main__":
    run(main)
