"""XGBoost on the four published block tables of phones: random folds, and folds that are harder.

python studies/predictors/published.py --data DIR    (DIR holds pixel1_lut_ln_v3.json, ...)
"""

from __future__ import annotations

import numpy as np
from drawing import COLOURS, Panel, figure
from study import Row, arguments, data_file, run, say, write_tables

import nas
from nas.files import write_atomically
from nas.latency import nn_meter
from nas.latency.arch.scores import score
from nas.latency.evidence import (
    SIDE,
    WIDTHS,
    NetworksLeftOut,
    ValueLeftOut,
    leave_networks_out,
    leave_values_out,
)
from nas.latency.fit import fit_predictor
from nas.latency.gaps import LeftOut, interval_between
from nas.latency.metric_array import MetricArray
from nas.latency.model import TreeOptions
from nas.latency.predictor import Predictor
from nas.latency.report import DataFacts, Errors, KindReport
from nas.latency.table import LatencyTable

PHONES = ("pixel1", "pixel4", "pixel6", "xiaomi11")
SOURCE = "microsoft/nn-Meter, branch dev/hybrid-transformer, nn_meter/predictor/transformer_predictor/lut/"
FREE = ("to_tokens", "to_map")  # inside the published down-sampling and head timings
FACTS = DataFacts(file="", sha256="", source=nn_meter.SOURCE, licence=nn_meter.LICENCE, units=0)


def main() -> None:
    """Run the study and write its tables and figures."""
    parser = arguments("published", __doc__.splitlines()[0])
    parser.add_argument("--networks", type=int, default=50, help="networks held out together (default 50)")
    parser.add_argument("--groups", type=int, default=2, help="such groups per phone (default 2)")
    parser.add_argument("--phones", nargs="+", default=PHONES, choices=PHONES)
    options = parser.parse_args()
    folds: list[Row] = []
    values: list[Row] = []
    networks: list[Row] = []
    drawn: list[Panel] = []
    for phone in options.phones:
        table = nn_meter.read(data_file(options.data, f"{phone}_lut_ln_v3.json", SOURCE))
        say(f"{phone}: {len(table):,} blocks")
        predictor = fit_predictor(table, name=phone, data=FACTS, free=FREE)
        folds += fold_rows(phone, predictor)
        values += value_rows(phone, table, predictor)
        held = [hold_networks(table, options.networks, seed) for seed in range(options.groups)]
        networks.append(network_row(phone, held))
        drawn.append(calibration_panel(phone, held))
        for row in (*folds[-7:], *values[-4:], networks[-1]):
            say("  " + " ".join(str(cell) for cell in row.values()))
    write_tables(options.output, "folds", folds)
    write_tables(options.output, "values_left_out", values)
    write_tables(options.output, "networks_left_out", networks)
    legend = (("networks none of whose blocks were fitted on", COLOURS[0]), ("±10 %", COLOURS[4]))
    write_atomically(options.output / "networks.svg", figure(drawn, 4, legend))


def fold_rows(phone: str, predictor: Predictor) -> list[Row]:
    """Five random folds: every kind, and all together."""
    report = predictor.report
    assert report.errors is not None and report.coverage is not None
    rows = [error_row(phone, kind, about.errors, about.coverage) for kind, about in report.kinds.items()]
    return [*rows, error_row(phone, "all", report.errors, report.coverage)]


def value_rows(phone: str, table: LatencyTable, predictor: Predictor) -> list[Row]:
    """One width, then one resolution left out, between others and at the edge of the range."""
    rows: list[Row] = []
    for label, sizes in (("width", WIDTHS), ("resolution", (SIDE,))):
        found: list[tuple[ValueLeftOut, float]] = []
        for kind in predictor.kinds:
            trees = TreeOptions(monotone=tuple(predictor.report.kinds[kind].monotone))
            units, ms = table.rows(kind), table.times(kind).ms
            for size in sizes:
                left_out = list(leave_values_out(kind, units, ms, size, trees))
                found.extend(
                    (one, held_share(predictor.report.kinds[kind], left_out, one)) for one in left_out
                )
        for edge, where in ((False, "between others"), (True, "smallest or largest")):
            some = [(one, share) for one, share in found if one.edge == edge]
            errors = Errors.of(
                np.concatenate([one.true for one, _ in some]),
                np.concatenate([one.predicted for one, _ in some]),
            )
            share = float(
                np.average([share for _, share in some], weights=[len(one.true) for one, _ in some])
            )
            rows.append(error_row(phone, f"one {label} out, {where}", errors, share))
    return rows


def held_share(about: KindReport, found: list[ValueLeftOut], one: ValueLeftOut) -> float:
    """Share of the truth inside the interval stated of a value the fit never saw.

    Between others it is that of the other values left out, or the usual one where that is wider; at an edge the one
    outside the fitted range.
    """
    low, high = about.interval.ends(one.predicted)
    others = [other for other in found if not other.edge and other.value != one.value]
    between = not one.edge and len(others) > 1
    stated = interval_between(joined_values(others)) if between else about.outside_interval
    ends = stated.ends(one.predicted)
    low, high = np.minimum(low, ends[0]), np.maximum(high, ends[1])
    return float(((low <= one.true) & (one.true <= high)).mean())


def joined_values(found: list[ValueLeftOut]) -> LeftOut:
    """Several values left out, each a group of its own."""
    return LeftOut(
        np.repeat(np.arange(len(found)), [len(one.true) for one in found]),
        np.concatenate([one.true for one in found]),
        np.concatenate([one.predicted for one in found]),
    )


def hold_networks(table: LatencyTable, count: int, seed: int) -> NetworksLeftOut:
    """Networks of ElasticViT, all their blocks taken out of the table."""
    return leave_networks_out(table, nas.load_space("elasticvit"), count, free=FREE, seed=seed)


def network_row(phone: str, held: list[NetworksLeftOut]) -> Row:
    """All groups of networks of one phone."""
    true = np.concatenate([one.true for one in held])
    found = score(true, joined([one.predicted for one in held]))
    blocks = Errors.of(
        np.concatenate([one.units_true for one in held]),
        np.concatenate([one.units_predicted for one in held]),
    )
    return {
        **error_row(phone, "whole networks", found.errors, found.coverage),
        "spearman": found.spearman,
        "blocks left out": blocks.units,
        "blocks within 10 %": blocks.within_10,
        "blocks mean error": blocks.mean,
    }


def joined(parts: list[MetricArray]) -> MetricArray:
    """Several predictions as one."""
    low, high, codes = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("low", "high", "codes")
    )
    return MetricArray(
        np.concatenate([np.asarray(part) for part in parts]), unit="ms", codes=codes, low=low, high=high
    )


def error_row(phone: str, what: str, errors: Errors, coverage: float) -> Row:
    """One row of a table."""
    return {
        "phone": phone,
        "what": what,
        "number": errors.units,
        "within 10 %": errors.within_10,
        "within 5 %": errors.within_5,
        "mean error": errors.mean,
        "largest error": errors.max,
        "in 90 % interval": coverage,
    }


def calibration_panel(phone: str, held: list[NetworksLeftOut]) -> Panel:
    """Predicted over true latency of the networks left out, with the intervals."""
    true = np.concatenate([one.true for one in held])
    predicted = joined([one.predicted for one in held])
    ends = (float(true.min()) * 0.9, float(true.max()) * 1.1)
    ticks = [float(f"{value:.1g}") for value in np.geomspace(*ends, 4)[1:3]]
    panel = Panel(
        phone, "true ms", "predicted / true", ends, (0.85, 1.15), (True, False), (ticks, (0.9, 1.0, 1.1))
    )
    panel.band([(ends[0], 0.9, 1.1), (ends[1], 0.9, 1.1)], COLOURS[4])
    for x, low, high in zip(true, predicted.low / true, predicted.high / true):
        panel.line([(x, low), (x, high)], "#aac")
    panel.dots(list(zip(true, np.asarray(predicted) / true)), COLOURS[0], 1.8)
    return panel


if __name__ == "__main__":
    run(main)
