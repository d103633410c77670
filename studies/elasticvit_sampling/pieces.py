"""The study's work in pieces: each computed by a process of its own, once, and collected in one file of each kind."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from functools import partial
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path

from protocol import Scale, judges
from tables import read_rows, write_rows

from nas.errors import NasError
from nas.files import write_atomically
from nas.space.load import load_space

KINDS = ("accuracy", "course", "cosines", "alone")


@dataclass(frozen=True)
class Piece:
    """A part of the study that is computed by itself.

    Attributes:
        name: its files in the working folder are `NAME.KIND.csv`.
        result: kind of the file that is there when it is finished.
        work: computes it.
    """

    name: str
    result: str
    work: Callable[[], None]


def supernets(scale: Scale, samplers: Sequence[str], seed: int, work: Path) -> Iterator[Piece]:
    """A supernet of each sampler."""
    from supernets import run_supernet

    for sampler in samplers:
        yield Piece(f"{sampler}-{seed}", "accuracy", partial(run_supernet, scale, sampler, seed, work))


def alone(scale: Scale, seed: int, work: Path) -> Iterator[Piece]:
    """Every judge trained alone."""
    from alone import run_alone

    for index, judge in enumerate(judges(load_space(scale.space))):
        yield Piece(f"alone-{seed}-{index:02}", "alone", partial(run_alone, scale, index, judge, seed, work))


def compute(scale: Scale, pieces: Sequence[Piece], jobs: int, work: Path, output: Path) -> None:
    """Compute the pieces that are missing in `work`, `jobs` at a time, then collect their rows in `output`.

    Raises:
        NasError: `work` holds pieces of another scale or space, or a folder cannot be made.
    """
    for folder in (work, output):
        _make(folder)
    _same_study(scale, work)
    os.chdir(work)
    missing = [piece for piece in pieces if not (work / f"{piece.name}.{piece.result}.csv").exists()]
    if missing:
        _in_processes(missing, jobs)
    for kind in KINDS:
        files = sorted(work / f"{piece.name}.{kind}.csv" for piece in pieces)
        rows = [row for path in files if path.is_file() for row in read_rows(path)]
        if rows:
            write_rows(output / f"{kind}.csv", rows)


def _in_processes(missing: Sequence[Piece], jobs: int) -> None:
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_one_thread) as pool:
        running = {pool.submit(piece.work): piece.name for piece in missing}
        try:
            for number, done in enumerate(as_completed(running), 1):
                done.result()
                print(f"{number} of {len(missing)}: {running[done]}", file=sys.stderr, flush=True)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)  # the others would only delay the news
            raise


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NasError(f"{folder} cannot be made: {error.strerror}.") from None


def _same_study(scale: Scale, work: Path) -> None:
    archs = "".join(judge.arch.id for judge in judges(load_space(scale.space)))
    here = {"space": Path(scale.space).name, "judges": sha256(archs.encode()).hexdigest()[:16]}
    known = json.dumps({**asdict(scale), **here}, indent=1)
    path = work / "scale.json"
    if not path.exists():
        write_atomically(path, known)
    elif path.read_text(encoding="utf-8") != known:
        raise NasError(
            f"{work} holds pieces of another scale, space or set of judged architectures (its scale.json says which); "
            "give another folder with --work, or empty it."
        )


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


def add_options(parser: argparse.ArgumentParser) -> None:
    """`--seeds` and `--jobs`, each 1 or more."""
    parser.add_argument("--seeds", type=whole_number, default=4, help="seeds of each supernet (default 4)")
    parser.add_argument(
        "--jobs", type=whole_number, default=2, help="processes of one thread each (default 2)"
    )


def whole_number(text: str) -> int:
    """An argument that is 1 or more."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is less than 1")
    return value
