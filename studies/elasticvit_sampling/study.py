"""Does conflict-aware sampling train better supernets than uniform sampling? ElasticViT's claim, on a small space.

python studies/elasticvit_sampling/study.py [--jobs 2]

It can be interrupted and run again: finished pieces lie in the working folder, and a supernet goes on where it was.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from protocol import SAMPLERS, SCALES, Scale, judges  # noqa: E402
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
    """All pieces, the short ones last so that no process waits long for the other."""
    for seed in range(seeds):
        yield from supernets(scale, SAMPLERS, seed, work)
    yield from alone(scale, 0, work)


def supernets(scale: Scale, samplers: Sequence[str], seed: int, work: Path) -> Iterator[Piece]:
    """A supernet of each sampler."""
    from supernets import run_supernet

    for sampler in samplers:
        yield Piece(f"{sampler}-{seed}.accuracy.csv", partial(run_supernet, scale, sampler, seed, work))


def alone(scale: Scale, seed: int, work: Path) -> Iterator[Piece]:
    """Every judge trained alone."""
    from alone import run_alone

    for index, judge in enumerate(judges(load_space(scale.space))):
        job = partial(run_alone, scale, index, judge, seed, work)
        yield Piece(f"alone-{seed}-{index:02}.alone.csv", job)


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
