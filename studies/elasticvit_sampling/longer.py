"""Were there too few steps? Uniform and complexity-aware sampling again, four times as long.

python studies/elasticvit_sampling/longer.py [--jobs 2]

It can be interrupted and run again, as study.py, whose results it needs for the comparison.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from analysis import (  # noqa: E402
    BASE,
    GROUPS,
    Scores,
    by_sampler,
    drawn_together,
    gains,
    group_means,
    interval,
    rows_by_sampler,
    scores_of,
)
from protocol import SCALES, Scale  # noqa: E402
from study import Piece, collect, compute  # noqa: E402
from tables import Row, read_rows, write_table  # noqa: E402

from nas.errors import NasError  # noqa: E402

COMPARED = (BASE, "complexity")
PERCENT = 100.0


def main() -> None:
    """Compute what is missing, then write the tables."""
    parser = argparse.ArgumentParser(
        prog="python studies/elasticvit_sampling/longer.py", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--steps", type=int, default=1000, help="steps of a supernet (default 1000)")
    parser.add_argument("--seeds", type=int, default=3, help="seeds of each supernet (default 3)")
    parser.add_argument("--jobs", type=int, default=2, help="processes of one thread each (default 2)")
    parser.add_argument("--work", type=Path, help="working folder (default sampling-STEPS)")
    parser.add_argument("--output", type=Path, default=HERE, help="folder of study.py's tables")
    options = parser.parse_args()
    output, scale = options.output.resolve(), replace(SCALES["cpu"], steps=options.steps)
    work = (options.work or Path(f"sampling-{options.steps}")).resolve()
    work.mkdir(parents=True, exist_ok=True)
    os.chdir(work)
    compute([p for p in pieces(scale, options.seeds, work) if not Path(p.result).exists()], options.jobs)
    longer = output / "longer"
    longer.mkdir(exist_ok=True)
    collect(work, longer)
    write_tables(scale.steps, output, longer)


def write_tables(steps: int, output: Path, longer: Path) -> None:
    """Accuracy and conflict beside those of `output`, and ranks against its networks alone, in the folder `longer`."""
    from results import fidelities, rank_rows

    write_table(longer, "groups", [*table_rows(SCALES["cpu"].steps, output), *table_rows(steps, longer)])
    found = fidelities(
        by_sampler(read_rows(longer / "accuracy.csv")), scores_of(read_rows(output / "alone.csv"))
    )
    write_table(longer, "ranks", rank_rows(found, None))


def pieces(scale: Scale, seeds: int, work: Path) -> Iterator[Piece]:
    """A supernet for each seed and sampler."""
    from supernets import run_supernet

    for seed in range(seeds):
        for sampler in COMPARED:
            job = partial(run_supernet, scale, sampler, seed, work)
            yield Piece(f"{sampler}-{seed}.accuracy.csv", job)


def table_rows(steps: int, folder: Path) -> list[Row]:
    """Top-1 by group after so many steps, and the cosine of gradients of subnets drawn together."""
    scores = by_sampler(read_rows(folder / "accuracy.csv"))
    cosines = rows_by_sampler(read_rows(folder / "cosines.csv"))
    together = {
        name: drawn_together([row for row in cosines[name] if row["pairs"] != "fixed"]) for name in COMPARED
    }
    return [
        {
            "steps": steps,
            "sampler": name,
            "seeds": len(scores[name].seeds),
            "cosine within a step": round(together[name].cosine.mean, 3),
            "negative within a step %": round(PERCENT * together[name].opposed, 1),
            **_groups(scores, name),
        }
        for name in COMPARED
    ]


def _groups(scores: Mapping[str, Scores], name: str) -> dict[str, str]:
    shown = {}
    for group in GROUPS:
        mean, gain = interval(group_means(scores[name], group)), gains(scores[name], scores[BASE], group)
        shown[f"{group}, top-1 %"] = f"{PERCENT * mean.mean:.1f}"
        shown[f"{group}, above uniform (95 %)"] = (
            f"{PERCENT * gain.mean:+.1f} ({PERCENT * gain.low:.1f} to {PERCENT * gain.high:.1f})"
            if name != BASE
            else ""
        )
    return shown


if __name__ == "__main__":
    try:
        main()
    except NasError as error:
        sys.exit(f"Error: {error}")
