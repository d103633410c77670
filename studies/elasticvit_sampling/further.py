"""Why does it come out as it does? The study again with one thing changed: controls, levels, banks, easier images.

python studies/elasticvit_sampling/further.py controls levels banks alone [--jobs 2]

It can be interrupted and run again, as study.py, whose results it needs for the comparison.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from analysis import (  # noqa: E402
    BASE,
    GROUPS,
    Drawn,
    Scores,
    by_sampler,
    drawn_together,
    fidelity,
    gains,
    group_means,
    interval,
    rows_by_sampler,
    scores_of,
)
from protocol import SAMPLERS, SCALES, Scale  # noqa: E402
from results import fidelities, rank_rows  # noqa: E402
from study import Piece, alone, collect, compute, supernets  # noqa: E402
from tables import Row, read_rows, write_table  # noqa: E402

from nas.errors import NasError  # noqa: E402

PERCENT = 100.0
_EASY = replace(SCALES["cpu"], data="shapes:size=6000,test=1000,difficulty=easy", steps=250, alone_steps=250)


@dataclass(frozen=True)
class Experiment:
    """The study with one thing changed.

    Attributes:
        about: what is changed.
        samplers: those that are trained; gains are over `uniform` here, or over that of study.py if it is not here.
        alone: seeds of networks trained alone.
        truth: experiment with whose networks alone ranks are compared; by default its own, or those of study.py.
    """

    about: str
    samplers: tuple[str, ...]
    alone: tuple[int, ...] = ()
    scale: Scale = SCALES["cpu"]
    truth: str = ""


EXPERIMENTS = {
    "controls": Experiment("parts of complexity-aware sampling", ("cyclic", "uniform+smallest")),
    "levels": Experiment("windows of 1M MACs instead of 0.1M", ("wide levels",)),
    "banks": Experiment("banks four times as large", ("large banks",)),
    "alone": Experiment("a second training alone", (), (1,)),
    "easy": Experiment("easy images, 250 steps", (*SAMPLERS, "cyclic", "uniform+smallest"), (0, 1), _EASY),
    "easy-1000": Experiment(
        "easy images, 1,000 steps", (BASE, "complexity"), scale=replace(_EASY, steps=1000), truth="easy"
    ),
}


def main() -> None:
    """Compute what is missing, then write the tables."""
    parser = argparse.ArgumentParser(
        prog="python studies/elasticvit_sampling/further.py", description=__doc__.splitlines()[0]
    )
    parser.add_argument("experiments", nargs="+", choices=EXPERIMENTS, metavar="EXPERIMENT", help=_listed())
    parser.add_argument("--seeds", type=int, default=3, help="seeds of each supernet (default 3)")
    parser.add_argument("--jobs", type=int, default=2, help="processes of one thread each (default 2)")
    parser.add_argument("--work", type=Path, default=Path("sampling-further"), help="working folder")
    parser.add_argument("--output", type=Path, default=HERE, help="folder of study.py's tables")
    options = parser.parse_args()
    output, place = options.output.resolve(), options.work.resolve()
    for name in options.experiments:
        work, folder = place / name, output / "further" / name
        work.mkdir(parents=True, exist_ok=True)
        folder.mkdir(parents=True, exist_ok=True)
        os.chdir(work)
        missing = [p for p in pieces(EXPERIMENTS[name], options.seeds, work) if not Path(p.result).exists()]
        compute(missing, options.jobs)
        collect(work, folder)
    write_further(output)


def pieces(experiment: Experiment, seeds: int, work: Path) -> Iterator[Piece]:
    """Supernets of every seed, then networks alone."""
    for seed in range(seeds):
        yield from supernets(experiment.scale, experiment.samplers, seed, work)
    for seed in experiment.alone:
        yield from alone(experiment.scale, seed, work)


def write_further(output: Path) -> None:
    """`further/groups` and `further/ranks` of the study and of every experiment whose rows are there."""
    base = by_sampler(read_rows(output / "accuracy.csv"))[BASE]
    truth = scores_of(read_rows(output / "alone.csv"))
    groups, ranks = table_rows("the study", output, base), list[Row]()
    for name, experiment in EXPERIMENTS.items():
        folder = output / "further" / name
        if folder.is_dir():
            groups += table_rows(experiment.about, folder, base)
            known = output / "further" / experiment.truth / "alone.csv" if experiment.truth else None
            ranks += ranked(experiment.about, folder, scores_of(read_rows(known)) if known else truth)
    write_table(output / "further", "groups", groups)
    if ranks:
        write_table(output / "further", "ranks", ranks)


def ranked(about: str, folder: Path, truth: Scores) -> list[Row]:
    """Rank fidelity of a folder's supernets, and of its last training alone.

    Args:
        about: what was changed.
        folder: of the rows.
        truth: accuracies alone, where `folder` has not two trainings of its own.
    """
    own = scores_of(read_rows(folder / "alone.csv")) if (folder / "alone.csv").is_file() else None
    first, second = (truth, own) if own is None or len(own.seeds) == 1 else (own, own)
    again = None if second is None else fidelity(second.accuracy[-1], first.accuracy[0], first.groups)
    found = fidelities(_scores(folder), first)
    return [{"changed": about, **row} for row in rank_rows(found, again)]


def table_rows(about: str, folder: Path, base: Scores) -> list[Row]:
    """Top-1 by group with the gain over uniform sampling, and the cosine of gradients of subnets drawn together.

    Args:
        about: what was changed.
        folder: of the rows.
        base: uniform sampling, where `folder` has none.
    """
    scores, together = _scores(folder), last_together(folder)
    base = scores.get(BASE, base)
    rows: list[Row] = [
        {
            "changed": about,
            "sampler": name,
            "seeds": len(each.seeds),
            "cosine within a step": round(together[name].cosine.mean, 3),
            "negative within a step %": round(PERCENT * together[name].opposed, 1),
            **_groups(each, base if name != BASE else None),
        }
        for name, each in scores.items()
    ]
    if (folder / "alone.csv").is_file():
        each = scores_of(read_rows(folder / "alone.csv"))
        nothing = {"cosine within a step": "", "negative within a step %": ""}
        rows.append(
            {"changed": about, "sampler": "alone", "seeds": len(each.seeds), **nothing, **_groups(each, None)}
        )
    return rows


def _scores(folder: Path) -> dict[str, Scores]:
    path = folder / "accuracy.csv"
    return by_sampler(read_rows(path)) if path.is_file() else {}


def last_together(folder: Path) -> Mapping[str, Drawn]:
    """Conflict within a step at the end of training, by sampler."""
    path, found = folder / "cosines.csv", {}
    if not path.is_file():
        return found
    for name, rows in rows_by_sampler(read_rows(path)).items():
        last = max(int(row["step"]) for row in rows)
        found[name] = drawn_together(
            [row for row in rows if row["pairs"] != "fixed" and int(row["step"]) == last]
        )
    return found


def _groups(scores: Scores, base: Scores | None) -> dict[str, str]:
    shown = {}
    for group in GROUPS:
        mean, gain = interval(group_means(scores, group)), gains(scores, base, group) if base else None
        shown[f"{group}, top-1 %"] = f"{PERCENT * mean.mean:.1f}"
        shown[f"{group}, above uniform (95 %)"] = (
            f"{PERCENT * gain.mean:+.1f} ({PERCENT * gain.low:.1f} to {PERCENT * gain.high:.1f})"
            if gain
            else ""
        )
    return shown


def _listed(names: Sequence[str] = tuple(EXPERIMENTS)) -> str:
    return "; ".join(f"{name}: {EXPERIMENTS[name].about}" for name in names)


if __name__ == "__main__":
    try:
        main()
    except NasError as error:
        sys.exit(f"Error: {error}")
