"""Search strategies beside each other and beside other libraries', on tasks whose true fronts are known.

    python -m benchmarks.search --data FOLDER_OF_NASBENCH201 --out search.json

Results are kept one by one in the JSON file; the same command goes on where it was stopped, and with other tasks,
strategies, seeds or budgets it adds to the file. Several processes have a file each, which `--add` puts together.
Beside it a Markdown file has the tables.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # threads that wait would count as work

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.search.competitors import COMPETITORS, why_not
from benchmarks.search.measure import Plan, run, usual_batch
from benchmarks.search.record import Record
from benchmarks.search.summary import summary
from benchmarks.search.tasks import TASKS, task
from nas.errors import NasError
from nas.files import write_atomically

BUDGETS = (50, 100, 250, 500, 1000, 2000)
SEEDS = 10


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is missing, and write the tables."""
    given = _given(arguments)
    record = Record(given.out)
    for path in given.add:
        record.join(Record(path))
    for plan in _missing(given, record):
        record.add(
            plan,
            result := run(task(plan.task, given.data), plan.competitor, plan.budget, plan.batch, plan.seed),
        )
        print(f"{plan.key}: {result.share:.4f}, {1e3 * result.cpu_s:.1f} ms", flush=True)
    write_atomically(given.out.with_suffix(".md"), summary(record.results))
    print(f"The tables are in {given.out.with_suffix('.md')}.")


def _missing(given: argparse.Namespace, record: Record) -> Iterator[Plan]:
    """What is not there yet, seed by seed, so that what is stopped has something of everything."""
    tasks, names = _possible(given)
    for seed in range(given.first_seed, given.first_seed + given.seeds):
        for name in tasks:
            for budget in given.budgets:
                for competitor in names:
                    plan = Plan(name, competitor, budget, given.batch or usual_batch(budget), seed)
                    if plan not in record.results and not why_not(competitor, budget):
                        yield plan


def _possible(given: argparse.Namespace) -> tuple[list[str], list[str]]:
    """Tasks and competitors; a sentence for each that is left out."""
    tasks = []
    for name in given.tasks:
        try:
            task(name, given.data)
            tasks.append(name)
        except NasError as error:
            print(f"{name} is left out: {error}")
    names = []
    for name in given.strategies:
        reasons = [why_not(name, budget) for budget in given.budgets]
        print(*(f"{name}: {reason}" for reason in dict.fromkeys(reasons) if reason), sep="\n", end="")
        names += [] if all(reasons) else [name]
    return tasks, names


def _given(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.search",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--tasks", nargs="+", default=TASKS, help="default: all")
    parser.add_argument("--strategies", nargs="+", default=COMPETITORS, help="default: all")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="how many")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--budgets", nargs="+", type=int, default=BUDGETS, help="distinct evaluations")
    parser.add_argument(
        "--batch", type=int, help="default: a tenth of the budget, from 4 to 50, as the tool does"
    )
    parser.add_argument("--data", type=Path, help="folder with nasbench201.csv.gz")
    parser.add_argument(
        "--add", nargs="+", type=Path, default=[], help="files of other runs, whose results --out gets, too"
    )
    parser.add_argument("--out", type=Path, default=Path("search-benchmark.json"))
    return parser.parse_args(arguments)


if __name__ == "__main__":
    try:
        main()
    except NasError as error:
        raise SystemExit(str(error)) from None
