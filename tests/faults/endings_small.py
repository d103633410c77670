"""Small runs of the tests of endings, files and storages: a space of measured cells that needs no training."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import nas
from nas.store import Storage

ROOT = Path(__file__).resolve().parents[2]
CHOICES = {"a": "xyz", "b": (1, 2, 3, 4), "c": (1, 2, 3), "d": (1, 2, 3, 4)}


def write_cells(folder: Path) -> None:
    """`s.yaml` and `t.csv`: 144 cells with an accuracy and a latency."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["version: 1", "name: cells", "decisions:"]
    lines += [f"  {key}: [{', '.join(map(str, values))}]" for key, values in CHOICES.items()]
    (folder / "s.yaml").write_text("\n".join(lines) + "\n")
    rows = ["a,b,c,d,acc,ms"]
    for index, values in enumerate(itertools.product(*CHOICES.values())):
        rows.append(",".join(map(str, values)) + f",{40 + (index * 37) % 53},{1 + (index * 29) % 71}")
    (folder / "t.csv").write_text("\n".join(rows) + "\n")


def search(**given: Any) -> nas.Study:
    """A run in the working directory, from Python."""
    arguments = {"strategy": "nsga2", "n_trials": 10, "study_name": "s", "report": False, **given}
    arguments["settings"] = ["search.batch=6", *given.get("settings", [])]
    return nas.run("s.yaml", accuracy="table:t.csv#acc", latency="table:t.csv#ms", **arguments)


def words(*more: str, name: str = "s") -> list[str]:
    """The same as a command line."""
    given = [
        "run",
        "s.yaml",
        "--accuracy",
        "table:t.csv#acc",
        "--latency",
        "table:t.csv#ms",
        "--study-name",
        name,
    ]
    return [*given, "--strategy", "nsga2", "--set", "search.batch=6", *more]


def command(*arguments: str, folder: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "nas", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=200,
        env=environment(),
        **options,
    )


def environment() -> dict[str, str]:
    """With this checkout's package."""
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def outcome(name: str = "s", storage: str | None = None) -> dict[str, Any]:
    """All that a search found, without what depends on the clock."""
    opened = Storage(storage, read_only=True)
    study = opened.study(name)
    generations = range(study.generation + 1)
    return {
        "trials": [
            (t.number, t.arch_id, t.generation, t.state, {k: m.value for k, m in t.metrics.items()})
            for t in opened.trials(study.id)
        ],
        "fronts": {g: [t.number for t in opened.front(study.id, generation=g)] for g in generations},
        "history": [
            (g.generation, g.n_evaluations, g.front_size, g.hypervolume)
            for g in opened.hypervolume_history(study.id)
        ],
        "predictions": opened.series(study.id, "predictor"),
    }
