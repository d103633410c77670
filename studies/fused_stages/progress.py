"""Progressive learning against a fixed size: processor seconds to an accuracy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from seeds import Contender, Interval, interval, paired
from study import Row
from trained import Outcome, trained

STEPS, TARGET_STEPS, PRESET = (40, 60, 90, 135, 200), 90, "first three"
FIXED = "fixed size"
COURSES = {
    FIXED: (),
    "progressive": (
        "train.progressive.phases=4",
        "train.progressive.share=0.5",
        "train.progressive.strength=0.5",
    ),
    "sizes alone": (
        "train.progressive.phases=4",
        "train.progressive.share=0.5",
        "train.progressive.strength=1",
    ),
}
Outcomes = Mapping[tuple[str, int], Sequence[Outcome]]


def outcomes(
    source: Path, common: tuple[str, ...], seeds: int, folder: Path
) -> dict[tuple[str, int], list[Outcome]]:
    """Trainings by course and number of steps, a list over seeds; seeds are the outer loop."""
    found: dict[tuple[str, int], list[Outcome]] = {}
    for seed in range(seeds):
        for course, settings in COURSES.items():
            for steps in STEPS:
                name = f"{course}-{steps}".replace(" ", "-")
                contender = Contender(
                    name, f"{source}:{PRESET}", (*common, *settings, f"train.steps={steps}")
                )
                found.setdefault((course, steps), []).append(trained(contender, seed, folder))
    return found


def target_of(found: Outcomes) -> float:
    """The top-1 that times are taken to: the mean of fixed size at the middle number of steps."""
    return float(np.mean([one.top1 for one in found[FIXED, TARGET_STEPS]]))


def seconds_to(points: Sequence[Outcome], target: float) -> tuple[float, bool]:
    """Seconds at which the line through the points first reaches a top-1; the last's, and False, if it never does."""
    if points[0].top1 >= target:
        return points[0].seconds, True
    for before, after in pairwise(points):
        if after.top1 >= target:
            share = (target - before.top1) / (after.top1 - before.top1)
            return before.seconds + share * (after.seconds - before.seconds), True
    return points[-1].seconds, False


def course_rows(found: Outcomes) -> list[Row]:
    """A row for each course: seconds to the target, over fixed size seed by seed, and the verdict."""
    target, seeds = target_of(found), len(found[FIXED, TARGET_STEPS])
    times, reached = {}, {}
    for course in COURSES:
        each = [seconds_to([found[course, steps][seed] for steps in STEPS], target) for seed in range(seeds)]
        times[course] = [seconds for seconds, _ in each]
        reached[course] = sum(there for _, there in each)
    rows: list[Row] = []
    for course, values in times.items():
        gap = paired(np.log(values).tolist(), np.log(times[FIXED]).tolist()) if course != FIXED else None
        rows.append(
            {
                "course": course,
                "target top-1 %": f"{100 * target:.1f}",
                "seeds that reach it": f"{reached[course]} of {seeds}",
                "processor s to it, mean": f"{np.mean(values):.2f}",
                "over fixed size (95 % interval)": _over(gap) if gap else "",
                "verdict": _verdict(gap) if gap else "",
            }
        )
    return rows


def step_rows(found: Outcomes) -> list[Row]:
    """A row for each course and number of steps."""
    return [
        {
            "course": course,
            "steps": steps,
            "processor s": f"{np.mean([one.seconds for one in some]):.2f}",
            "top-1 %": interval([one.top1 for one in some]).points(),
        }
        for (course, steps), some in found.items()
    ]


def _over(gap: Interval) -> str:
    mean, low, high = (float(np.exp(value)) for value in (gap.mean, gap.low, gap.high))
    return f"{mean:.2f} ({low:.2f}–{high:.2f})"


def _verdict(gap: Interval) -> str:
    return "saves time" if gap.high < 0 else "costs time" if gap.low > 0 else "cannot be told"
