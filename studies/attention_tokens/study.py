"""Time and accuracy of ReLU-linear, separable and softmax attention.

python studies/attention_tokens/study.py

It can be interrupted and run again: what is timed and trained lies in the working folder.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "predictors"), str(HERE.parent / "shared")]

import torch  # noqa: E402
from drawing import COLOURS, Panel, figure  # noqa: E402
from growth import (  # noqa: E402  # noqa: E402
    NETWORK_STRIDE,
    UNIT_STRIDE,
    UNITS,
    exponent,
    network_models,
    timed,
    unit_models,
    upper_half,
    verdict,
)
from seeds import SEEDS, Contender, Interval, interval, paired, train  # noqa: E402
from study import Row, run, say, write_tables  # noqa: E402

from nas.files import write_atomically  # noqa: E402
from nas.pipeline.metrics import CheapMetrics  # noqa: E402
from nas.space.load import load_space  # noqa: E402
from nas.space.space import Space  # noqa: E402

SPACE, DATA, RIVAL, MARGIN = HERE / "space.yaml", "digits", "softmax", -0.01
NOTHING = "none"


def main() -> None:
    """Run the study and write its tables and figure."""
    parser = argparse.ArgumentParser(
        prog="python studies/attention_tokens/study.py", description=__doc__.splitlines()[0]
    )
    parser.add_argument(
        "--rounds", type=int, default=40, help="runs of each model that are timed (default 40)"
    )
    parser.add_argument(
        "--seeds", type=int, default=SEEDS, help=f"trainings of each network (default {SEEDS})"
    )
    parser.add_argument("--steps", type=int, default=150, help="of each training (default 150)")
    parser.add_argument("--work", type=Path, default=Path("attention-work"), help="working folder")
    parser.add_argument("--output", type=Path, default=HERE, help="folder for tables and figure")
    options = parser.parse_args()
    output = options.output.resolve()
    options.work.mkdir(parents=True, exist_ok=True)
    os.chdir(options.work)
    torch.set_num_threads(1)
    space = load_space(SPACE)
    units = timed(unit_models(), UNIT_STRIDE, options.rounds, Path("units"))
    networks = timed(network_models(space), NETWORK_STRIDE, options.rounds, Path("networks"))
    write_tables(output, "units", units)
    write_tables(output, "networks", networks)
    write_tables(output, "results", growths(units, networks))
    write_atomically(output / "tokens.svg", draw(units, networks))
    scores = {name: tops(name, options.seeds, options.steps) for name in space.presets}
    write_tables(output, "accuracy", accuracies(space, scores))


def growths(units: Sequence[Row], networks: Sequence[Row]) -> list[Row]:
    """Exponents of each attention, alone and in a network, and what the rule says."""
    rows: list[Row] = []
    for name in UNITS:
        alone, whole = (exponent(*upper_half(table, name)) for table in (units, networks))
        last = [row for row in units if row["attention"] == name][-1]
        rows.append(
            {
                "attention": name,
                "exponent, attention alone": alone.shown,
                "verdict": verdict(name, alone),
                "exponent, network": whole.shown,
                "ms at 4,096 tokens": f"{float(str(last['median ms'])):.2f}",
            }
        )
        say(" ".join(str(cell) for cell in rows[-1].values()))
    return rows


def tops(name: str, seeds: int, steps: int) -> list[float]:
    """Top-1 on test images of one network, a number for each seed."""
    contender = Contender(name, f"{SPACE}:{name}", (f"train.steps={steps}", "train.resolution_scale=1"))
    found = []
    for seed in range(seeds):
        found.append(train(contender, DATA, seed).top1)
        say(f"{name}, seed {seed}: top-1 {100 * found[-1]:.1f} %")
    return found


def accuracies(space: Space, scores: Mapping[str, Sequence[float]]) -> list[Row]:
    """Top-1 of each network, and its difference to softmax', seed by seed."""
    rows: list[Row] = []
    for name, values in scores.items():
        costs = CheapMetrics(space).metrics(space.presets[name])[0]
        gap = paired(values, scores[RIVAL]) if name != RIVAL else None
        rows.append(
            {
                "attention": name,
                "MACs M": f"{costs['macs'].value / 1e6:.2f}",
                "parameters": int(costs["params"].value),
                "top-1 % (95 % interval)": interval(values).points(),
                "minus softmax, points": gap.difference() if gap else "",
                "verdict": judged(name, gap) if gap else "",
            }
        )
    return rows


def judged(name: str, gap: Interval) -> str:
    """What the rule says of a difference to softmax."""
    if name == NOTHING:
        return "attention helps" if gap.high < 0 else "attention does not show"
    if gap.low > MARGIN:
        return "loses nothing"
    return "loses" if gap.high < 0 else "cannot be told"


def draw(units: Sequence[Row], networks: Sequence[Row]) -> str:
    """Median latency over tokens on logarithmic axes: the attention alone, and networks."""
    panels = []
    for title, rows in (("attention alone", units), ("whole network", networks)):
        values = [float(str(row["median ms"])) for row in rows]
        ys = (min(values) * 0.8, max(values) * 1.3)
        ticks = ([64, 256, 1024, 4096], [t for t in (0.1, 1, 10, 100, 1000) if ys[0] < t < ys[1]])
        panel = Panel(title, "tokens", "ms", (56, 4700), ys, (True, True), ticks)
        for name, colour in zip((*UNITS, NOTHING), COLOURS):
            own = [row for row in rows if row["attention"] == name]
            points = [(float(str(row["tokens"])), float(str(row["median ms"]))) for row in own]
            if points:
                panel.line(points, colour)
                panel.dots(points, colour, 2.2)
        panels.append(panel)
    return figure(panels, 2, list(zip((*UNITS, "no attention"), COLOURS)))


if __name__ == "__main__":
    run(main)
