"""EfficientFormer slimmed by importance, against uniform scaling, random cuts and nsga2, on a machine that was timed.

python studies/slimming/study.py DEVICE    (a folder of nas device profile, of the space efficientformer)

It can be interrupted and run again: what is trained and evaluated lies in the working folder.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "predictors"))

from drawing import COLOURS, Panel, figure  # noqa: E402
from rivals import Point, Rivals  # noqa: E402
from study import Row, run, say, write_tables  # noqa: E402

import nas  # noqa: E402
from nas.files import write_atomically  # noqa: E402
from nas.latency.device import load_device  # noqa: E402
from nas.pipeline.progress import ConsoleReporter  # noqa: E402
from nas.store import Storage  # noqa: E402
from nas.study import Study  # noqa: E402

SLIMMED = "slimming"


def main() -> None:
    """Run the study and write its tables and figure."""
    parser = argparse.ArgumentParser(
        prog="python studies/slimming/study.py", description=__doc__.splitlines()[0]
    )
    parser.add_argument("device", help="a device: folder or name")
    parser.add_argument("--target", type=float, default=25.0, help="latency to reach in ms (default 25)")
    parser.add_argument("--data", default="shapes:size=3000,test=1000", help="data (default shapes)")
    parser.add_argument("--steps", type=int, default=150, help="training steps (default 150)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--walks", type=int, default=5, help="walks of random cuts (default 5)")
    parser.add_argument("--work", type=Path, default=Path("slimming-work"), help="working folder")
    parser.add_argument("--output", type=Path, default=HERE, help="folder for tables and figure")
    options = parser.parse_args()
    device, output = load_device(Path(options.device).resolve()), options.output.resolve()
    options.work.mkdir(parents=True, exist_ok=True)
    os.chdir(options.work)
    settings = [f"threads={options.threads}", f"train.steps={options.steps}"]
    common = {
        "device": device,
        "constraints": [f"latency<={options.target}ms"],
        "reporter": ConsoleReporter(),
    }
    slimmed = _study(SLIMMED, settings, data=options.data, n_trials=1000, **common)
    course = [data for _, data in slimmed.storage.series(slimmed.row.id, "course")]
    trials = len(slimmed.trials())
    nsga2 = _study(
        "nsga2",
        [*settings, "search.options.population=20", "search.batch=10"],
        supernet=SLIMMED,
        strategy="nsga2",
        n_trials=trials,
        **common,
    )
    rivals = Rivals(SLIMMED, device, settings, options.target)
    paths = {
        "slimming": rivals.along([step["arch_id"] for step in course], slimmed),
        "uniform scaling": rivals.scaled(10),
        "random cuts": rivals.random(options.walks, trials),
        "nsga2": rivals.found(nsga2),
    }
    write_tables(output, "course", [_step(n, step) for n, step in enumerate(course)])
    ends = {name: rivals.end(points) for name, points in paths.items()}
    measured = rivals.measured(ends, output / "measured.csv")
    write_tables(
        output, "results", [_row(name, len(paths[name]), trials, ends[name], measured) for name in paths]
    )
    write_atomically(output / "paths.svg", draw(paths, options.target))


def _study(name: str, settings: list[str], **more: object) -> Study:
    """A finished study of the working folder, run or resumed if it is not."""
    known = {study.name: study.state for study in Storage(None).studies()} if Path("nas.db").exists() else {}
    if known.get(name) == "finished":
        return nas.load_study(name)
    say(f"study {name}")
    return nas.run("efficientformer", settings=settings, study_name=name, resume=name in known, **more)  # type: ignore[arg-type]


def _step(number: int, step: dict[str, object]) -> Row:
    return {
        "step": number,
        "what was cut": step["action"],
        "saved ms": step["saved"],
        "latency ms": step["cost"],
        "cross-entropy": step["loss"],
    }


def _row(name: str, points: int, trials: int, end: Point, measured: dict[str, float]) -> Row:
    return {
        "method": name,
        "points evaluated": trials if name in ("slimming", "nsga2") else points,
        "latency ms": end.latency,
        "measured ms": measured[end.arch.id],
        "predicted over measured": end.latency / measured[end.arch.id],
        "cross-entropy, search images": end.loss,
        "top-1, search images": end.accuracy,
        "top-1, test images": end.test,
        "test images, 95 % from": end.low,
        "to": end.high,
        "MACs": end.macs,
        "parameters": end.params,
        "architecture": end.arch.id,
    }


def draw(paths: dict[str, list[Point]], target: float) -> str:
    """Cross-entropy on search images over predicted latency, a line or points for each method."""
    every = [point for points in paths.values() for point in points]
    xs = (min(p.latency for p in every) * 0.9, max(p.latency for p in every) * 1.1)
    losses = np.array([p.loss for p in every])
    ys = (float(losses.min()) * 0.8, float(losses.max()) * 1.1)
    ticks = ([10, 25, 50, 100, 200], [float(f"{v:.1g}") for v in np.geomspace(*ys, 6)[1:-1]])
    panels = []
    for name, colour in zip(("uniform scaling", "random cuts", "nsga2"), COLOURS[1:]):
        panel = Panel(
            f"slimming and {name}", "predicted latency ms", "cross-entropy", xs, ys, (True, True), ticks
        )
        panel.line([(target, ys[0]), (target, ys[1])], COLOURS[4], dashed=True)
        panel.dots([(p.latency, p.loss) for p in paths[name]], colour, 2.2)
        panel.line([(p.latency, p.loss) for p in paths["slimming"]], COLOURS[0])
        panels.append(panel)
    legend = [("slimming", COLOURS[0]), *zip(("uniform scaling", "random cuts", "nsga2"), COLOURS[1:])]
    return figure(panels, 3, legend)


if __name__ == "__main__":
    run(main)
