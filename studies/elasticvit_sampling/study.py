"""Does conflict-aware sampling train better supernets than uniform sampling? ElasticViT's claim, on a small space.

python studies/elasticvit_sampling/study.py [--jobs 2]

It can be interrupted and run again: finished pieces lie in the working folder, and a supernet goes on where it was.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from protocol import CONTROLS, SAMPLERS, SCALES, Scale, judges  # noqa: E402
from tables import joined, write_rows  # noqa: E402

from nas.errors import NasError  # noqa: E402
from nas.space.load import load_space  # noqa: E402

KINDS = ("accuracy", "course", "cosines", "alone")


@dataclass(frozen=True)
class Piece:
    """A part of the study that is computed by itself.

    Attributes:
        result: the file that is there when it is finished.
        work: computes it.
    """

    result: str
    work: Callable[[], None]


def main() -> None:
    """Compute what is missing, then write the tables and figures."""
    parser = argparse.ArgumentParser(
        prog="python studies/elasticvit_sampling/study.py", description=__doc__.splitlines()[0]
    )
    parser.add_argument(
        "--scale", choices=sorted(SCALES), default="cpu", help="size of the study (default cpu)"
    )
    parser.add_argument("--seeds", type=int, default=3, help="seeds of each supernet (default 3)")
    parser.add_argument("--jobs", type=int, default=2, help="processes of one thread each (default 2)")
    parser.add_argument("--work", type=Path, help="working folder (default sampling-SCALE)")
    parser.add_argument("--output", type=Path, default=HERE, help="folder for tables and figures")
    options = parser.parse_args()
    output, scale = options.output.resolve(), SCALES[options.scale]
    work = (options.work or Path(f"sampling-{options.scale}")).resolve()
    work.mkdir(parents=True, exist_ok=True)
    os.chdir(work)
    compute(
        [piece for piece in pieces(scale, options.seeds, work) if not Path(piece.result).exists()],
        options.jobs,
    )
    collect(work, output)
    from results import write_results

    write_results(output, work / "figures.html")


def pieces(scale: Scale, seeds: int, work: Path) -> Iterator[Piece]:
    """All pieces, in an order in which what is there early says something.

    Networks are trained alone twice: how well the two rankings agree bounds what any supernet can reach.
    """
    from alone import run_alone
    from supernets import run_supernet

    found = judges(load_space(scale.space))

    def alone(seed: int) -> Iterator[Piece]:
        for index, judge in enumerate(found):
            job = partial(run_alone, scale, index, judge, seed, work)
            yield Piece(f"alone-{seed}-{index:02}.alone.csv", job)

    def supernets(samplers: Iterable[str], seed: int) -> Iterator[Piece]:
        for sampler in samplers:
            job = partial(run_supernet, scale, sampler, seed, work)
            yield Piece(f"{sampler}-{seed}.accuracy.csv", job)

    for seed in range(seeds):
        yield from supernets(SAMPLERS, seed)
        if seed == min(1, seeds - 1):
            yield from alone(0)
    for control in CONTROLS:
        for seed in range(seeds):
            yield from supernets([control], seed)
    yield from alone(1)


def compute(missing: list[Piece], jobs: int) -> None:
    """Compute pieces, `jobs` at a time."""
    if not missing:
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_one_thread) as pool:
        running = {pool.submit(piece.work): piece.result for piece in missing}
        for number, done in enumerate(as_completed(running), 1):
            done.result()
            print(f"{number} of {len(missing)}: {running[done]}", file=sys.stderr, flush=True)


def collect(work: Path, output: Path) -> None:
    """The rows of all pieces in one file for each kind."""
    for kind in KINDS:
        rows = joined(work, kind)
        if rows:
            write_rows(output / f"{kind}.csv", rows)


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


if __name__ == "__main__":
    try:
        main()
    except NasError as error:
        sys.exit(f"Error: {error}")
