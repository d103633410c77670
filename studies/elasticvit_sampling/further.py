"""Why does it come out as it does? The study again with one thing changed: controls, levels, banks, easier images.

python studies/elasticvit_sampling/further.py controls levels banks alone [--jobs 2]

It can be interrupted and run again, as study.py, whose results it needs for the comparison.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from analysis import (  # noqa: E402
    BASE,
    GROUPS,
    Scores,
    Together,
    by_sampler,
    drawn_pairs,
    fidelity,
    gains,
    group_means,
    interval,
    last_step,
    rows_by_sampler,
    scores_of,
    together_of,
)
from pieces import Piece, add_options, alone, compute, supernets  # noqa: E402
from protocol import EMBEDDED, SCALES, Scale  # noqa: E402
from results import fidelities, rank_rows  # noqa: E402
from tables import PERCENT, Row, read_rows, write_table  # noqa: E402

from nas.errors import NasError  # noqa: E402

CPU = SCALES["cpu"]


@dataclass(frozen=True)
class Experiment:
    """The study with one thing changed.

    Attributes:
        about: what is changed.
        samplers: those that are trained; gains are over `uniform` here, or over that of study.py if it is not here.
        alone: seeds of networks trained alone.
    """

    about: str
    samplers: tuple[str, ...]
    alone: tuple[int, ...] = ()
    scale: Scale = CPU


EXPERIMENTS = {
    "controls": Experiment("three uniform draws and the smallest subnet", ("uniform+smallest",)),
    "levels": Experiment("windows five times as wide", ("wide levels",)),
    "other": Experiment(
        "a level for each subnet of a step (mixed); none of the two lowest levels (high)",
        ("mixed levels", "high levels"),
    ),
    "banks": Experiment("banks four times as large", ("large banks",)),
    "fresh": Experiment("banks scored again at 71 steps instead of 8", ("fresh banks",)),
    "short": Experiment(
        "250 steps", (BASE, "complexity", "performance"), scale=replace(CPU, steps=250, alone_steps=250)
    ),
    "easy": Experiment(
        "easy images",
        (BASE, "complexity"),
        scale=replace(CPU, data=CPU.data.replace("medium", "easy")),
    ),
    "embedded": Experiment(
        "ElasticViT's own space, 220 steps on digits",
        (BASE, "performance", "large banks", "cyclic levels", "cyclic levels, large banks"),
        (0,),
        EMBEDDED,
    ),
    "alone": Experiment("a second training alone", (), (1,)),
}


def main() -> None:
    """Compute what is missing, then write the tables."""
    parser = argparse.ArgumentParser(
        prog="python studies/elasticvit_sampling/further.py", description=__doc__.splitlines()[0]
    )
    listed = "; ".join(f"{name}: {experiment.about}" for name, experiment in EXPERIMENTS.items())
    parser.add_argument("experiments", nargs="+", choices=EXPERIMENTS, metavar="EXPERIMENT", help=listed)
    add_options(parser)
    parser.add_argument("--work", type=Path, default=Path("sampling-further"), help="working folder")
    parser.add_argument("--output", type=Path, default=HERE, help="folder of study.py's tables")
    options = parser.parse_args()
    output, place = options.output.resolve(), options.work.resolve()
    for kind in ("accuracy", "alone"):  # what the comparison needs, looked for before hours of work
        read_rows(output / f"{kind}.csv")
    for name in options.experiments:
        work, experiment = place / name, EXPERIMENTS[name]
        found = list(pieces(experiment, options.seeds, work))
        compute(experiment.scale, found, options.jobs, work, output / "further" / name)
    write_further(output)


def pieces(experiment: Experiment, seeds: int, work: Path) -> Iterator[Piece]:
    """Supernets of every seed, then networks alone."""
    for seed in range(seeds):
        yield from supernets(experiment.scale, experiment.samplers, seed, work)
    for seed in experiment.alone:
        yield from alone(experiment.scale, seed, work)


def write_further(output: Path) -> None:
    """`further/groups` and `further/ranks` of the study and of every experiment whose rows are there.

    Ranks are compared with the experiment's own networks alone, or with the study's where the images are the same.
    """
    base = by_sampler(read_rows(output / "accuracy.csv"))[BASE]
    truth = scores_of(read_rows(output / "alone.csv"))
    groups, ranks = table_rows("the study", output, base), list[Row]()
    for name, experiment in EXPERIMENTS.items():
        folder = output / "further" / name
        if folder.is_dir():
            groups += table_rows(experiment.about, folder, base)
            ranks += ranked(experiment, folder, truth)
    write_table(output / "further", "groups", groups)
    if ranks:
        write_table(output / "further", "ranks", ranks)


def ranked(experiment: Experiment, folder: Path, truth: Scores) -> list[Row]:
    """Rank fidelity of a folder's supernets, or of its second training alone; `truth` is the study's first."""
    path, again = folder / "alone.csv", None
    if path.is_file():
        own = scores_of(read_rows(path))
        if own.seeds[0] == 0:
            truth = own
        else:
            again = fidelity(own.accuracy[0], truth.accuracy[0], truth.groups)
    elif experiment.scale.data != CPU.data:
        return []
    return [
        {"changed": experiment.about, **row} for row in rank_rows(fidelities(_scores(folder), truth), again)
    ]


def table_rows(about: str, folder: Path, base: Scores) -> list[Row]:
    """Top-1 by group with the gain over uniform sampling, and the cosine of gradients of subnets drawn together.

    Args:
        about: what was changed.
        folder: of the rows.
        base: uniform sampling, where `folder` has none.
    """
    scores, together = _scores(folder), _together(folder)
    base = scores.get(BASE, base)
    rows: list[Row] = [
        {"changed": about, "sampler": name, "seeds": len(each.seeds)}
        | _conflict(together.get(name))
        | _groups(each, base if name != BASE else None)
        for name, each in scores.items()
    ]
    if (folder / "alone.csv").is_file():
        each = scores_of(read_rows(folder / "alone.csv"))
        known: Row = {"changed": about, "sampler": "alone", "seeds": len(each.seeds)}
        rows.append({**known, **_conflict(None), **_groups(each, None)})
    return rows


def _scores(folder: Path) -> dict[str, Scores]:
    path = folder / "accuracy.csv"
    return by_sampler(read_rows(path)) if path.is_file() else {}


def _together(folder: Path) -> dict[str, Together]:
    path = folder / "cosines.csv"
    found = rows_by_sampler(read_rows(path)) if path.is_file() else {}
    return {name: together_of(last_step(drawn_pairs(rows))) for name, rows in found.items()}


def _conflict(found: Together | None) -> dict[str, object]:
    """Of the subnets of a step at the end of training."""
    return {
        "cosine within a step": round(found.cosine.mean, 3) if found else "",
        "negative within a step %": round(PERCENT * found.opposed, 1) if found else "",
    }


def _groups(scores: Scores, base: Scores | None) -> dict[str, object]:
    shown: dict[str, object] = {}
    for group in GROUPS:
        mean, gain = interval(group_means(scores, group)), gains(scores, base, group) if base else None
        low_high = f" ({PERCENT * gain.low:.1f} to {PERCENT * gain.high:.1f})" if gain and gain.n > 1 else ""
        shown[f"{group}, top-1 %"] = f"{PERCENT * mean.mean:.1f}"
        shown[f"{group}, above uniform (95 %)"] = f"{PERCENT * gain.mean:+.1f}{low_high}" if gain else ""
    return shown


if __name__ == "__main__":
    try:
        main()
    except NasError as error:
        sys.exit(f"Error: {error}")
