"""Does conflict-aware sampling train better supernets than uniform sampling? ElasticViT's claim, on a small space.

python studies/elasticvit_sampling/study.py [--jobs 2]

It can be interrupted and run again: finished pieces lie in the working folder, and a supernet goes on where it was.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from pieces import add_options, alone, compute, supernets  # noqa: E402
from protocol import SAMPLERS, SCALES  # noqa: E402

from nas.errors import NasError  # noqa: E402


def main() -> None:
    """Compute what is missing, then write the tables and figures."""
    parser = argparse.ArgumentParser(
        prog="python studies/elasticvit_sampling/study.py", description=__doc__.splitlines()[0]
    )
    parser.add_argument(
        "--scale", choices=sorted(SCALES), default="cpu", help="size of the study (default cpu)"
    )
    add_options(parser)
    parser.add_argument("--work", type=Path, help="working folder (default sampling-SCALE)")
    parser.add_argument(
        "--output", type=Path, help="folder for tables and figures (default this one, gpu/ in it for gpu)"
    )
    options = parser.parse_args()
    scale, own = SCALES[options.scale], HERE if options.scale == "cpu" else HERE / options.scale
    work = (options.work or Path(f"sampling-{options.scale}")).resolve()
    output = (options.output or own).resolve()
    pieces = [p for seed in range(options.seeds) for p in supernets(scale, SAMPLERS, seed, work)]
    short_ones = alone(scale, 0, work)  # last, so that no process waits long for the other
    compute(scale, [*pieces, *short_ones], options.jobs, work, output)
    from results import write_results

    write_results(output, work / "figures.html")


if __name__ == "__main__":
    try:
        main()
    except NasError as error:
        sys.exit(f"Error: {error}")
