"""The generative strategy against random, nsga2 and predictor inside TurboViT's box, with and without its inquisitor.

python studies/turbovit/study.py

It can be interrupted and run again: what is trained, searched and retrained lies in the working folder.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "predictors"))

from beside import BATCHES, alone, reference, row, timed  # noqa: E402
from drawing import COLOURS, Panel, figure  # noqa: E402
from searches import BATCH, METHODS, SPACE, Bench, Trace  # noqa: E402
from study import Row, run, say, write_tables  # noqa: E402

import nas  # noqa: E402
from nas.files import write_atomically  # noqa: E402
from nas.pipeline.progress import ConsoleReporter  # noqa: E402
from nas.space.batch import Arch  # noqa: E402
from nas.store import Storage  # noqa: E402

SETTINGS = ("threads=1", "train.steps=220", "train.checkpoint_every=110", "train.conflict_every=44")


def main() -> None:
    """Run the study and write its tables and figure."""
    parser = argparse.ArgumentParser(
        prog="python studies/turbovit/study.py", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--seeds", type=int, default=3, help="searches of each method (default 3)")
    parser.add_argument("--trials", type=int, default=48, help="evaluations of each search (default 48)")
    parser.add_argument(
        "--alone", type=int, default=220, help="steps of networks trained alone (default 220)"
    )
    parser.add_argument(
        "--supernet", default="supernet", help="study with the weights; trained if it is not there"
    )
    parser.add_argument("--work", type=Path, default=Path("turbovit-work"), help="working folder")
    parser.add_argument("--output", type=Path, default=HERE, help="folder for tables and figure")
    options = parser.parse_args()
    output = options.output.resolve()
    options.work.mkdir(parents=True, exist_ok=True)
    os.chdir(options.work)
    _train(options.supernet)
    bench = Bench(options.supernet, SETTINGS, Path("traces"))
    traces = []
    for seed in range(options.seeds):
        for method in METHODS:
            say(f"seed {seed}: {method}")
            traces.append(bench.trace(method, seed, options.trials))
    write_tables(output, "searches", [_row(bench, t) for t in traces])
    write_tables(
        output, "results", [_summary(bench, m, [t for t in traces if t.method == m]) for m in METHODS]
    )
    write_atomically(output / "course.svg", draw(traces, options.trials))
    _beside(bench, traces, options.supernet, options.alone, output)


def _train(name: str) -> None:
    known = {study.name: study.state for study in Storage(None).studies()} if Path("nas.db").exists() else {}
    if known.get(name) != "finished":
        nas.run(
            SPACE, settings=SETTINGS, strategy="random", n_trials=15, study_name=name, resume=name in known,
            reporter=ConsoleReporter(),
        )  # fmt: skip


def _row(bench: Bench, trace: Trace) -> Row:
    best = int(trace.utilities.argmax())
    return {
        "method": trace.method,
        "seed": trace.seed,
        "best NetScore dB": float(trace.best[-1]),
        "after a third dB": float(trace.best[len(trace.best) // 3 - 1]),
        "hypervolume": trace.volume(bench.box),
        "feasible, first round": trace.feasible[0],
        "feasible, last round": trace.feasible[-1],
        "its top-1, search images": trace.accuracy[best],
        "its parameters": int(trace.params[best]),
        "its MACs": int(trace.macs[best]),
        "asking s": trace.asking_s,
        "evaluating s": trace.evaluating_s,
    }


def _summary(bench: Bench, method: str, traces: list[Trace]) -> Row:
    rows = [_row(bench, trace) for trace in traces]

    def told(key: str, digits: int) -> str:
        values = np.array([float(str(row[key])) for row in rows])
        return f"{values.mean():.{digits}f} ({values.min():.{digits}f}–{values.max():.{digits}f})"

    return {
        "method": method,
        "best NetScore dB, mean (least–most)": told("best NetScore dB", 2),
        "after a third": told("after a third dB", 2),
        "hypervolume": told("hypervolume", 3),
        "feasible, first round": told("feasible, first round", 2),
        "feasible, last round": told("feasible, last round", 2),
        "asking s": told("asking s", 0),
        "evaluating s": told("evaluating s", 0),
    }


def _beside(bench: Bench, traces: list[Trace], supernet: str, steps: int, output: Path) -> None:
    own = [trace for trace in traces if trace.method == "generative"]
    chosen = {
        "generative, best NetScore": _argmax(bench, own, [trace.utilities for trace in own]),
        "generative, best top-1": _argmax(bench, own, [np.array(trace.accuracy) for trace in own]),
        "Hiera-T shrunk into the box": reference(bench),
    }
    archs = list(chosen.values())
    say("times in ONNX Runtime")
    times = {batch: timed(bench, archs, batch) for batch in BATCHES}
    rows = []
    for index, (name, arch) in enumerate(chosen.items()):
        say(f"training alone: {name}")
        trained = alone(supernet, arch, steps)
        rows.append(row(bench, name, arch, {b: found[index] for b, found in times.items()}, trained, steps))
    write_tables(output, "beside", rows)
    write_tables(output, "architectures", [{"network": name, **arch.values} for name, arch in chosen.items()])


def _argmax(bench: Bench, traces: list[Trace], values: list[np.ndarray]) -> Arch:
    which = int(np.argmax([value.max() for value in values]))
    found = traces[which].archs[int(values[which].argmax())]
    return bench.space.encode([found])[0]  # type: ignore[arg-type]


def draw(traces: list[Trace], trials: int) -> str:
    """Best NetScore and feasible share over evaluations: a mean line and the range over seeds for each method."""
    best = {m: np.stack([t.best for t in traces if t.method == m]) for m in METHODS}
    shares = {m: np.stack([t.feasible for t in traces if t.method == m]) for m in METHODS}
    low = float(min(rows[:, BATCH - 1 :].min() for rows in best.values()))
    high = float(max(rows.max() for rows in best.values()))
    ticks = [float(round(v)) for v in np.linspace(low, high, 5)]
    across = [float(n) for n in range(0, trials + 1, 2 * BATCH)]
    scores = Panel(
        "best NetScore", "evaluations", "dB", (0, trials), (low - 0.5, high + 0.5), ticks=(across, ticks)
    )
    looked = Panel(
        "candidates in the box",
        "evaluations",
        "share",
        (0, trials),
        (0, 1.02),
        ticks=(across, [0, 0.25, 0.5, 0.75, 1]),
    )
    for method, colour in zip(METHODS, COLOURS):
        xs = np.arange(1, trials + 1)
        rows = best[method]
        scores.band(
            [(float(x), float(a), float(b)) for x, a, b in zip(xs, rows.min(0), rows.max(0))][BATCH - 1 :],
            colour,
        )
        scores.line([(float(x), float(y)) for x, y in zip(xs, rows.mean(0))][BATCH - 1 :], colour)
        looked.line(
            [(float(BATCH * (n + 1)), float(y)) for n, y in enumerate(shares[method].mean(0))], colour
        )
    return figure(
        [scores, looked], 2, [(m.rpartition(", ")[2], colour) for m, colour in zip(METHODS, COLOURS)]
    )


if __name__ == "__main__":
    run(main)
