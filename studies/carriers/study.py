"""Windows that know nothing of each other, windows with carrier tokens, one window: who can compare two far marks?

python studies/carriers/study.py

It can be interrupted and run again: what is trained lies in the working folder.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from math import log
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "predictors"), str(HERE.parent / "shared")]

import marks  # noqa: E402, F401  (registers its data)
from drawing import COLOURS, Panel, figure  # noqa: E402
from hearing import heard  # noqa: E402
from seeds import SEEDS, Contender, Run, interval, paired, train  # noqa: E402
from study import Row, run, say, write_tables  # noqa: E402
from timing import ROUNDS, Times, exported_network, interleaved  # noqa: E402

from nas.files import write_atomically  # noqa: E402
from nas.pipeline.metrics import CheapMetrics  # noqa: E402
from nas.space.load import load_space  # noqa: E402
from nas.supernet.network import Network  # noqa: E402

SPACE, ADDED = HERE / "space.yaml", HERE / "added.yaml"
NAMES = {"windows": "separate windows", "carriers": "windows with carriers", "full": "one window"}
LATER = {"added": "carriers, added to pixels"}
TRAINED = {**NAMES, **LATER}
SIDES = (32, 64, 128)
BATCH = 400
SOLVED, CHANCE, ADDITIVE = 0.95, 0.5, 1e-3


@dataclass(frozen=True)
class Answers:
    """Scores of the test images, quadruple by quadruple: those for "equal" minus those for "unequal"."""

    margins: np.ndarray

    @property
    def whole(self) -> float:
        """Share of quadruples whose four images are classified rightly."""
        equal = self.margins > 0
        return float((equal[:, :2].all(1) & ~equal[:, 2:].any(1)).mean())

    @property
    def interaction(self) -> float:
        """Largest |s(i,i) + s(j,j) − s(i,j) − s(j,i)|, which is zero where windows cannot be compared."""
        return float(np.abs(self.margins[:, :2].sum(1) - self.margins[:, 2:].sum(1)).max())


def main() -> None:
    """Run the study and write its tables and figure."""
    parser = argparse.ArgumentParser(
        prog="python studies/carriers/study.py", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"trainings of each (default {SEEDS})")
    parser.add_argument("--steps", type=int, default=600, help="training steps (default 600)")
    parser.add_argument("--batch", type=int, default=64, help="images per step (default 64)")
    parser.add_argument("--data", default="marks:2000,500", help="quadruples to train and to test on")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"timed rounds (default {ROUNDS})")
    parser.add_argument("--work", type=Path, default=Path("carriers-work"), help="working folder")
    parser.add_argument("--output", type=Path, default=HERE, help="folder for tables and figure")
    options = parser.parse_args()
    output = options.output.resolve()
    options.work.mkdir(parents=True, exist_ok=True)
    os.chdir(options.work)
    rows = [_row(one, answers(one)) for name in TRAINED for one in _trained(name, options)]
    write_tables(output, "results", rows)
    write_tables(output, "summary", [_summary(name, rows, options.seeds) for name in TRAINED])
    say("times in ONNX Runtime")
    times = timed(options.rounds)
    write_tables(output, "times", [_time_row(name, side, times) for side in SIDES for name in NAMES])
    write_atomically(output / "carriers.svg", draw(rows, times))


def _trained(name: str, options: argparse.Namespace) -> Iterator[Run]:
    settings = (f"train.steps={options.steps}", f"train.batch={options.batch}", "train.augment=none")
    contender = Contender(name, f"{_space(name)}:{name}-{SIDES[0]}", settings)
    for seed in range(options.seeds):
        say(f"{TRAINED[name]}, seed {seed}")
        yield train(contender, options.data, seed)


def answers(one: Run) -> Answers:
    """What a trained network says of the test images."""
    network = one.network()
    with torch.no_grad():
        scores = torch.cat([network(images) for images, _ in one.data.evaluation("test", BATCH, 0)]).double()
    return Answers((scores[:, 1] - scores[:, 0]).reshape(-1, 4).numpy())


def _row(one: Run, said: Answers) -> Row:
    return {
        "network": one.contender.name,
        "seed": one.seed,
        "top-1": one.top1,
        "cross-entropy": one.loss,
        "whole quadruples": said.whole,
        "interaction": f"{said.interaction:.2g}",
        "pixels hear, at first": f"{heard(_fresh(one), one.data):.2g}",
        "pixels hear": f"{heard(one.network(), one.data):.2g}",
    }


def _fresh(one: Run) -> Network:
    """The network before its training."""
    network = one.job.network(one.data, None)
    network.eval()
    return network


def _space(name: str) -> Path:
    return ADDED if name in LATER else SPACE


def _values(name: str, rows: list[Row], key: str) -> list[float]:
    return [float(str(row[key])) for row in rows if row["network"] == name]


def _summary(name: str, rows: list[Row], seeds: int) -> Row:
    space = load_space(str(_space(name)))
    costs = CheapMetrics(space).metrics(space.encode([space.presets[f"{name}-{SIDES[0]}"].values]))[0]
    top1 = _values(name, rows, "top-1")
    return {
        "network": TRAINED[name],
        "MACs": int(costs["macs"].value),
        "parameters": int(costs["params"].value),
        "top-1, mean and 95 %": interval(top1).points(),
        "minus separate windows": paired(top1, _values("windows", rows, "top-1")).difference(),
        "cross-entropy, least": min(_values(name, rows, "cross-entropy")),
        "whole quadruples, mean": float(np.mean(_values(name, rows, "whole quadruples"))),
        "interaction, largest": f"{max(_values(name, rows, 'interaction')):.2g}",
        "pixels hear, mean": f"{np.mean(_values(name, rows, 'pixels hear')):.2g}",
        "seeds": seeds,
        "verdict": _verdict(name, rows),
    }


def _verdict(name: str, rows: list[Row]) -> str:
    found = interval(_values(name, rows, "top-1"))
    if name != "windows":
        return "solved" if found.mean >= SOLVED else "not solved"
    additive = max(_values(name, rows, "interaction")) <= ADDITIVE
    bounded = min(_values(name, rows, "cross-entropy")) >= log(2) - ADDITIVE
    if not (additive and bounded):
        return "leak"
    return "at chance" if found.holds(CHANCE) else "not at chance"


def timed(rounds: int) -> dict[str, Times]:
    """Times of the three networks at three resolutions, in ONNX Runtime, by turns."""
    space = load_space(str(SPACE))
    names = [f"{name}-{side}" for side in SIDES for name in NAMES]
    return interleaved({name: exported_network(space, space.presets[name]) for name in names}, rounds)


def _time_row(name: str, side: int, times: dict[str, Times]) -> Row:
    space, preset = load_space(str(SPACE)), f"{name}-{side}"
    costs = CheapMetrics(space).metrics(space.encode([space.presets[preset].values]))[0]
    return {
        "image side": side,
        "network": NAMES[name],
        "MACs": int(costs["macs"].value),
        "median ms (5–95 %)": times[preset].shown,
        "rounds": len(times[preset].runs),
    }


def draw(rows: list[Row], times: dict[str, Times]) -> str:
    """Top-1 of every seed, and time over the image's side."""
    accuracy = Panel(
        "top-1 of every seed",
        "seed",
        "top-1",
        (-0.5, 5),
        (0, 1.05),
        ticks=(range(5), [0, 0.25, 0.5, 0.75, 1]),
    )
    accuracy.line([(-0.5, CHANCE), (5, CHANCE)], COLOURS[4], dashed=True)
    every = [time.median for time in times.values()]
    ends = (min(every) * 0.8, max(every) * 1.3)
    ticks = [float(f"{value:.1g}") for value in np.geomspace(*ends, 6)[1:-1]]
    latency = Panel(
        "latency, one thread", "image side", "ms", (28, 146), ends, (True, True), ticks=(SIDES, ticks)
    )
    for name, colour in zip(TRAINED, COLOURS):
        accuracy.dots([(n, top1) for n, top1 in enumerate(_values(name, rows, "top-1"))], colour, 4)
    for name, colour in zip(NAMES, COLOURS):
        latency.line([(side, times[f"{name}-{side}"].median) for side in SIDES], colour)
    return figure([accuracy, latency], 2, list(zip(TRAINED, COLOURS)))


if __name__ == "__main__":
    run(main)
