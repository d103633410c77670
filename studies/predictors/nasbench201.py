"""Latency of NAS-Bench-201 cells on eight devices, from 10 to 900 timed cells, and from ten with other devices known.

python studies/predictors/nasbench201.py --data DIR    (DIR holds nasbench201.csv.gz)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from drawing import COLOURS, Panel, figure
from study import Row, arguments, data_file, run, say, write_tables

import nas
from nas.files import write_atomically
from nas.latency.arch import fit_arch_predictor, pairs_from_csv
from nas.latency.arch.cell import connected
from nas.latency.arch.scores import Scores, score
from nas.latency.metric_array import MetricArray
from nas.latency.report import Errors
from nas.latency.times import FloatArray
from nas.space.batch import ArchBatch

DEVICES = (
    "pixel3",
    "raspi4",
    "samsung_a50",
    "gold_6240",
    "silver_4114",
    "1080ti_1",
    "1080ti_256",
    "2080ti_32",
)
SAMPLES = (10, 50, 100, 900)
TRANSFER = 10
SOURCE = "HELP (HayeonLee/HELP) and NATS-Bench, put together in one CSV"


@dataclass(frozen=True)
class Cells:
    """Every connected cell, its latency in ms `(n, devices)`, and its one-hot code `(n, 30)`."""

    batch: ArchBatch
    ms: FloatArray
    choices: FloatArray


Method = Callable[[Cells, int, np.ndarray, np.ndarray, int], "Scores"]


def ours(
    cells: Cells, device: int, fit: np.ndarray, rest: np.ndarray, seed: int, transfer: bool = False
) -> Scores:
    """`nas.latency.arch` on the archs, and with `transfer` on the other devices' latencies too."""

    def known(at: np.ndarray) -> dict[str, FloatArray] | None:
        named = {name: cells.ms[at, index] for index, name in enumerate(DEVICES) if index != device}
        return named if transfer else None

    space, ms = cells.batch.space, cells.ms[:, device]
    predictor = fit_arch_predictor(space, cells.batch[fit], ms[fit], seed=seed, others=known(fit))
    return score(ms[rest], predictor.predict(cells.batch[rest], known(rest)))


def ours_transfer(cells: Cells, device: int, fit: np.ndarray, rest: np.ndarray, seed: int) -> Scores:
    """`ours` with the other devices' latencies."""
    return ours(cells, device, fit, rest, seed, transfer=True)


def boosting(cells: Cells, device: int, fit: np.ndarray, rest: np.ndarray, seed: int) -> Scores:
    """What is to be beaten: boosted trees of depth 3 on the one-hot code."""
    import xgboost

    model = xgboost.XGBRegressor(
        n_estimators=300, max_depth=3, learning_rate=0.1, n_jobs=1, random_state=seed
    )
    model.fit(cells.choices[fit], cells.ms[fit, device])
    predicted = model.predict(cells.choices[rest]).astype(np.float64)
    return plain(cells.ms[rest, device], np.maximum(predicted, cells.ms[fit, device].min() / 10))


def ridge(cells: Cells, device: int, fit: np.ndarray, rest: np.ndarray, seed: int) -> Scores:
    """What is to be beaten in transfer: ridge regression on the logarithms of the other devices' latencies."""
    from sklearn.linear_model import Ridge

    logs = np.log(np.delete(cells.ms, device, axis=1))
    model = Ridge(alpha=0.1).fit(logs[fit], np.log(cells.ms[fit, device]))
    return plain(cells.ms[rest, device], np.exp(model.predict(logs[rest])))


def plain(truth: FloatArray, predicted: FloatArray) -> Scores:
    """Scores of predictions without an interval; their coverage is NaN."""
    none = np.full(len(truth), np.nan)
    codes = np.zeros(len(truth), dtype=np.uint8)
    found = score(truth, MetricArray(predicted, unit="ms", codes=codes, low=none, high=none))
    return Scores(found.errors, found.spearman, float("nan"))


def main() -> None:
    """Run the study and write its tables and figures."""
    parser = arguments("nasbench201", __doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=20, help="random draws of the samples (default 20)")
    options = parser.parse_args()
    cells = read(data_file(options.data, "nasbench201.csv.gz", SOURCE))
    say(f"{len(cells.batch):,} connected cells")
    rows: list[Row] = []
    for device, name in enumerate(DEVICES):
        runs = [("this project", samples, ours) for samples in SAMPLES]
        runs += [("boosting, depth 3", samples, boosting) for samples in SAMPLES]
        runs += [("this project, seven devices known", TRANSFER, ours_transfer)]
        runs += [("ridge, seven devices known", TRANSFER, ridge)]
        for label, samples, method in runs:
            rows.append(summary(name, label, samples, draw(cells, device, samples, method, options.draws)))
            say(
                " ".join(
                    f"{value:.3f}" if isinstance(value, float) else str(value) for value in rows[-1].values()
                )
            )
    write_tables(options.output, "results", rows)
    write_atomically(options.output / "samples.svg", samples_figure(rows))
    write_atomically(options.output / "calibration.svg", calibration_figure(cells))


def read(path: Path) -> Cells:
    """The cells with a path from input to output."""
    space = nas.load_space("nasbench201")
    tables = [pairs_from_csv(space, path, column=f"{device}_ms") for device in DEVICES]
    kept = np.flatnonzero(connected(tables[0].batch))
    batch = tables[0].batch[kept]
    choices, _ = space.features(batch)
    return Cells(batch, np.stack([table.ms[kept] for table in tables], axis=1), choices)


def draw(cells: Cells, device: int, samples: int, method: Method, draws: int) -> list[Scores]:
    """Scores on all other cells, for each draw."""
    found = []
    for seed in range(draws):
        order = np.random.default_rng(seed).permutation(len(cells.batch))
        found.append(method(cells, device, order[:samples], order[samples:], seed))
    return found


def summary(device: str, label: str, samples: int, scores: list[Scores]) -> Row:
    """One row: means over the draws, and the worst of them."""
    ranks = [0.0 if one.spearman is None else one.spearman for one in scores]
    errors: list[Errors] = [one.errors for one in scores]
    return {
        "device": device,
        "method": label,
        "samples": samples,
        "spearman": float(np.mean(ranks)),
        "worst spearman": float(np.min(ranks)),
        "within 10 %": float(np.mean([one.within_10 for one in errors])),
        "worst within 10 %": float(np.min([one.within_10 for one in errors])),
        "mean error": float(np.mean([one.mean for one in errors])),
        "worst mean error": float(np.max([one.mean for one in errors])),
        "in 90 % interval": float(np.mean([one.coverage for one in scores])),
        "worst in interval": float(np.min([one.coverage for one in scores])),
    }


def samples_figure(rows: list[Row]) -> str:
    """Share within ±10 % by number of samples; bands reach down to the worst draw."""
    panels = []
    labels = (("this project", COLOURS[0]), ("boosting, depth 3", COLOURS[1]))
    for device in DEVICES:
        panel = Panel(
            device, "timed cells", "within ±10 %", (8, 1100), (0, 1), (True, False), (SAMPLES, (0, 0.5, 1))
        )
        for label, colour in labels:
            mine = [row for row in rows if row["device"] == device and row["method"] == label]
            points = [
                (float(str(row["samples"])), row["worst within 10 %"], row["within 10 %"]) for row in mine
            ]
            panel.band(points, colour)  # type: ignore[arg-type]
            panel.line([(x, high) for x, _, high in points], colour)  # type: ignore[misc]
        panels.append(panel)
    return figure(panels, 4, labels)


def calibration_figure(cells: Cells) -> str:
    """Share of unseen cells inside the 90 % interval, by tenths of predicted latency, one draw."""
    panels = []
    for device, name in enumerate(DEVICES):
        panel = Panel(
            name,
            "tenth of predicted latency",
            "in the interval",
            (1, 10),
            (0, 1),
            ticks=((1, 5, 10), (0, 0.5, 0.9)),
        )
        panel.band([(1, 0.85, 0.95), (10, 0.85, 0.95)], COLOURS[4])
        for samples, colour in zip((100, 900), COLOURS):
            order = np.random.default_rng(0).permutation(len(cells.batch))
            fit, rest, ms = order[:samples], order[samples:], cells.ms[:, device]
            predictor = fit_arch_predictor(cells.batch.space, cells.batch[fit], ms[fit])
            predicted = predictor.predict(cells.batch[rest])
            inside = (predicted.low <= ms[rest]) & (ms[rest] <= predicted.high)
            parts = np.array_split(np.argsort(np.asarray(predicted)), 10)
            panel.line([(tenth, float(inside[part].mean())) for tenth, part in enumerate(parts, 1)], colour)
        panels.append(panel)
    legend = (("100 timed cells", COLOURS[0]), ("900", COLOURS[1]), ("aim: 85-95 %", COLOURS[4]))
    return figure(panels, 4, legend)


if __name__ == "__main__":
    run(main)
