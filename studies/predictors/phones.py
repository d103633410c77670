"""A new phone from 10, 20 or 50 timed blocks, when three other phones are known.

python studies/predictors/phones.py --data DIR    (DIR holds pixel1_lut_ln_v3.json, ...)
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from drawing import COLOURS, Panel, figure
from published import FACTS, FREE, PHONES, SOURCE
from study import Row, arguments, data_file, run, say, shown, write_tables

import nas
from nas.files import write_atomically
from nas.latency import nn_meter
from nas.latency.arch.scores import Scores, score
from nas.latency.evidence import part_of, predict_table
from nas.latency.fit import fit_predictor
from nas.latency.metric_array import MetricArray
from nas.latency.network import network_latency
from nas.latency.predictor import Predictor, load_predictor
from nas.latency.rows import IntArray
from nas.latency.spread import sample_networks
from nas.latency.table import LatencyTable
from nas.latency.timed_units import TimedUnits
from nas.latency.times import FloatArray
from nas.space.batch import ArchBatch

SAMPLES = (10, 20, 50)
NETWORKS = 200


@dataclass(frozen=True)
class Method:
    """A way to time the new phone: a predictor, its times multiplied with a factor; with its interval or without."""

    predictor: Predictor
    factor: float = 1.0
    interval: bool = True

    def scores(self, table: LatencyTable, networks: ArchBatch, truth: FloatArray) -> tuple[Scores, Scores]:
        """Scores on every block of a table, and on networks whose true ms are given."""
        true, blocks = predict_table(self.predictor, table)
        device = TimedUnits("new", None, self.predictor, frozenset(FREE), None)
        whole = network_latency(device, networks.space.lower(networks), len(networks))
        return self._score(true, blocks), self._score(truth, whole)

    def _score(self, true: FloatArray, ms: MetricArray) -> Scores:
        scaled = MetricArray(
            np.asarray(ms) * self.factor, unit="ms", codes=ms.codes, low=ms.low, high=ms.high
        )
        found = score(true, scaled)
        return found if self.interval else replace(found, coverage=float("nan"))


def main() -> None:
    """Run the study and write its tables and figure."""
    parser = arguments("phones", __doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=10, help="random draws of the timed blocks (default 10)")
    options = parser.parse_args()
    networks = sample_networks(nas.load_space("elasticvit"), NETWORKS, 0)
    rows: list[Row] = []
    for phone in PHONES:
        table = nn_meter.read(data_file(options.data, f"{phone}_lut_ln_v3.json", SOURCE))
        others = [load_predictor(other) for other in PHONES if other != phone]
        for samples in SAMPLES:
            draws = [run_draw(table, others, networks, samples, seed) for seed in range(options.draws)]
            for method in draws[0]:
                rows.append(summary(phone, method, samples, [draw[method] for draw in draws]))
                say(" ".join(shown(cell) for cell in rows[-1].values()))
    write_tables(options.output, "results", rows)
    write_atomically(options.output / "samples.svg", samples_figure(rows))


def run_draw(
    table: LatencyTable, others: list[Predictor], networks: ArchBatch, samples: int, seed: int
) -> dict[str, tuple[Scores, Scores]]:
    """By method: scores on all blocks that were not timed, and on networks."""
    timed = draw(table, samples, seed)
    rest = part_of(table, lambda kind, rows: ~timed.lookup(kind, rows)[0])
    whole = TimedUnits("table", table, None, frozenset(FREE), None)
    truth = np.asarray(network_latency(whole, networks.space.lower(networks), len(networks)))
    fit = partial(
        fit_predictor,
        timed,
        name="new",
        data=FACTS,
        seed=seed,
        spaces={"elasticvit": networks.space},
        free=FREE,
    )
    methods = {
        "three phones known": Method(fit(like=others)),
        "nearest phone, scaled": nearest(timed, others),
        "alone": Method(fit()),
    }
    return {name: method.scores(rest, networks, truth) for name, method in methods.items()}


def nearest(timed: LatencyTable, others: list[Predictor]) -> Method:
    """The phone whose times differ most evenly from the timed blocks', multiplied with the median ratio."""

    def ratios(other: Predictor) -> FloatArray:
        true, predicted = predict_table(other, timed)
        return np.log(true / np.asarray(predicted))

    best = min(others, key=lambda other: float(np.abs(ratios(other) - np.median(ratios(other))).mean()))
    return Method(best, float(np.exp(np.median(ratios(best)))), interval=False)


def draw(table: LatencyTable, samples: int, seed: int) -> LatencyTable:
    """Blocks drawn at random, every kind as often as any other."""
    rng = np.random.default_rng(seed)
    order = {kind: rng.permutation(len(table.rows(kind))) for kind in table.kinds}
    turns = [
        kind for turn in range(samples) for kind in rng.permutation(table.kinds) if turn < len(order[kind])
    ]
    chosen = {kind: order[kind][: turns[:samples].count(kind)] for kind in table.kinds}

    def kept(kind: str, rows: IntArray) -> np.ndarray:
        return np.isin(np.arange(len(rows)), chosen[kind])

    return part_of(table, kept)


def summary(phone: str, method: str, samples: int, draws: list[tuple[Scores, Scores]]) -> Row:
    """One row: means over the draws, and the worst of them."""
    row: dict[str, object] = {"phone": phone, "method": method, "timed blocks": samples}
    for index, what in enumerate(("blocks", "networks")):
        found = [draw[index] for draw in draws]
        ranks = [0.0 if one.spearman is None else one.spearman for one in found]
        row |= {
            f"{what} mean error": float(np.mean([one.errors.mean for one in found])),
            f"{what} worst draw": float(np.max([one.errors.mean for one in found])),
            f"{what} within 10 %": float(np.mean([one.errors.within_10 for one in found])),
            f"{what} spearman": float(np.mean(ranks)),
            f"{what} worst spearman": float(np.min(ranks)),
            f"{what} in interval": float(np.mean([one.coverage for one in found])),
        }
    return row


def samples_figure(rows: list[Row]) -> str:
    """Mean error of blocks by number of timed blocks; bands reach up to the worst draw."""
    panels, legend = [], list(zip(dict.fromkeys(str(row["method"]) for row in rows), COLOURS))
    for phone in dict.fromkeys(str(row["phone"]) for row in rows):
        panel = Panel(
            phone,
            "timed blocks",
            "mean error of blocks",
            (8, 60),
            (0, 0.8),
            (True, False),
            (SAMPLES, (0, 0.2, 0.4, 0.6)),
        )
        for method, colour in legend:
            mine = [row for row in rows if row["phone"] == phone and row["method"] == method]
            points = [
                tuple(
                    float(str(row[key])) for key in ("timed blocks", "blocks mean error", "blocks worst draw")
                )
                for row in mine
            ]
            panel.band(points, colour)  # type: ignore[arg-type]
            panel.line([(x, y) for x, y, _ in points], colour)  # type: ignore[misc]
        panels.append(panel)
    return figure(panels, 4, legend)


if __name__ == "__main__":
    run(main)
