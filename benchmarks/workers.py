"""Time of a search with Ray workers, beside the same search without them.

    python benchmarks/workers.py [--trials 120] [--n-workers 2] [--strategy random]

A supernet is trained for a few steps first; its weights serve all searches. Compared are the seconds of the search
alone, without starting Ray: with as many processors as the run has threads a search with workers should
not take longer than the one without, and with more of them less.
"""

from __future__ import annotations

import argparse
import os
import tempfile

import nas
from nas.scale.cluster import connected
from nas.scale.workers import Workers

SETTINGS = ("train.steps=4", "train.checkpoint_every=4")


def main() -> None:
    """Run the searches and print their times."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=120)
    parser.add_argument("--n-workers", type=int, default=2)
    parser.add_argument("--strategy", default="random")
    options = parser.parse_args()
    os.chdir(tempfile.mkdtemp())
    nas.run("elasticvit", strategy="random", n_trials=1, settings=SETTINGS, study_name="supernet")
    alone = seconds("alone", options, None)
    print(f"without workers                {alone:6.1f} s", flush=True)
    with connected():
        for name, asynchronous in (("asynchronous", True), ("synchronous", False)):
            workers = Workers("local", options.n_workers, asynchronous=asynchronous)
            took = seconds(name, options, workers)
            print(
                f"{options.n_workers} workers, {name:13}      {took:6.1f} s  {took / alone:.2f} times",
                flush=True,
            )


def seconds(name: str, options: argparse.Namespace, workers: Workers | None) -> float:
    """What the search took by the study's own clock."""
    study = nas.run(
        "elasticvit", device="pixel6", strategy=options.strategy, n_trials=options.trials, settings=SETTINGS,
        supernet="supernet", study_name=name, workers=workers,
    )  # fmt: skip
    return float(study.facts["wall_s"]["search"])


if __name__ == "__main__":
    main()
