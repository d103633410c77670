"""EfficientViT's cascade of heads against the same heads apart and against heads that read all channels, at equal MACs.

python studies/cascade/study.py

It can be interrupted and run again: what is trained lies in the working folder.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "predictors"), str(HERE.parent / "shared")]

from drawing import COLOURS, Panel, figure  # noqa: E402
from heads import likeness  # noqa: E402
from seeds import Contender, Interval, Run, interval, paired, train  # noqa: E402
from study import Row, run, say, write_tables  # noqa: E402
from timing import ROUNDS, Times, exported_network, interleaved  # noqa: E402

from nas.files import write_atomically  # noqa: E402
from nas.pipeline.metrics import CheapMetrics  # noqa: E402
from nas.space.load import load_space  # noqa: E402

SPACE, HEADS, DATA = HERE / "space.yaml", 4, "digits"
NAMES = {
    "cascade": "cascade, a part each",
    "parts": "apart, a part each",
    "whole": "apart, all channels each",
}
MARGIN = 0.01


def main() -> None:
    """Run the study and write its tables and figure."""
    parser = argparse.ArgumentParser(
        prog="python studies/cascade/study.py", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--seeds", type=int, default=6, help="trainings of each (default 6)")
    parser.add_argument("--steps", type=int, default=220, help="training steps (default 220)")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"timed rounds (default {ROUNDS})")
    parser.add_argument("--work", type=Path, default=Path("cascade-work"), help="working folder")
    parser.add_argument("--output", type=Path, default=HERE, help="folder for tables and figure")
    options = parser.parse_args()
    output = options.output.resolve()
    options.work.mkdir(parents=True, exist_ok=True)
    os.chdir(options.work)
    rows = [_row(one) for name in NAMES for one in _trained(name, options)]
    write_tables(output, "results", rows)
    say("times in ONNX Runtime")
    space = load_space(str(SPACE))
    times = interleaved({n: exported_network(space, space.presets[n]) for n in NAMES}, options.rounds)
    write_tables(output, "summary", [_summary(name, rows, times[name]) for name in NAMES])
    write_tables(output, "differences", [_difference(name, rows) for name in ("parts", "whole")])
    write_atomically(output / "cascade.svg", draw(rows))


def _trained(name: str, options: argparse.Namespace) -> Iterator[Run]:
    contender = Contender(name, f"{SPACE}:{name}", (f"train.steps={options.steps}",))
    for seed in range(options.seeds):
        say(f"{NAMES[name]}, seed {seed}")
        yield train(contender, DATA, seed)


def _row(one: Run) -> Row:
    alike = likeness(one, HEADS)
    return {
        "heads": one.contender.name,
        "seed": one.seed,
        "top-1": one.top1,
        "cross-entropy": one.loss,
        "cosine": alike.cosine,
        "cosine, centred": alike.centred,
    }


def _values(name: str, rows: list[Row], key: str) -> list[float]:
    return [float(str(row[key])) for row in rows if row["heads"] == name]


def _summary(name: str, rows: list[Row], time: Times) -> Row:
    space = load_space(str(SPACE))
    costs = CheapMetrics(space).metrics(space.encode([space.presets[name].values]))[0]
    return {
        "heads": NAMES[name],
        "MACs": int(costs["macs"].value),
        "parameters": int(costs["params"].value),
        "top-1, mean and 95 %": interval(_values(name, rows, "top-1")).points(),
        "cross-entropy, mean": float(np.mean(_values(name, rows, "cross-entropy"))),
        "cosine of heads, mean": float(np.mean(_values(name, rows, "cosine"))),
        "centred": float(np.mean(_values(name, rows, "cosine, centred"))),
        "ms, median (5–95 %)": time.shown,
        "seeds": len(_values(name, rows, "top-1")),
        "rounds": len(time.runs),
    }


def _difference(name: str, rows: list[Row]) -> Row:
    """Cascade minus another, seed by seed."""
    top1, cosine, centred = (
        paired(_values("cascade", rows, key), _values(name, rows, key))
        for key in ("top-1", "cosine", "cosine, centred")
    )
    return {
        "cascade minus": NAMES[name],
        "top-1, points and 95 %": top1.difference(),
        "accuracy": _verdict(top1, MARGIN),
        "cosine": _plain(cosine),
        "heads": "less alike" if cosine.high < 0 else "more alike" if cosine.low > 0 else "cannot be told",
        "centred cosine": _plain(centred),
    }


def _verdict(found: Interval, margin: float) -> str:
    if found.low > 0:
        return "better"
    if found.high < 0:
        return "worse"
    return "the same" if max(-found.low, found.high) < margin else "cannot be told"


def _plain(found: Interval) -> str:
    return f"{found.mean:+.3f} ({found.low:+.3f} to {found.high:+.3f})".replace("-", "−")


def draw(rows: list[Row]) -> str:
    """Top-1 and cosine of heads of every seed."""
    seeds = len(_values("cascade", rows, "top-1"))
    panels = []
    for key, title in (("top-1", "top-1, test images"), ("cosine", "cosine of most similar heads")):
        values = [float(str(row[key])) for row in rows]
        low, high = min(values), max(values)
        room = 0.1 * (high - low) + 1e-3
        ticks = [round(float(value), 3) for value in np.linspace(low, high, 4)]
        panel = Panel(
            title, "seed", key, (-0.5, seeds - 0.5), (low - room, high + room), ticks=(range(seeds), ticks)
        )
        for name, colour in zip(NAMES, COLOURS):
            panel.dots([(n, value) for n, value in enumerate(_values(name, rows, key))], colour, 4)
        panels.append(panel)
    return figure(panels, 2, list(zip(NAMES.values(), COLOURS)))


if __name__ == "__main__":
    run(main)
