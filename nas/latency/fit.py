"""Fitting a predictor from a latency table; `python -m nas.latency.fit` does it for nn-Meter's files.

python -m nas.latency.fit nn-meter pixel6_lut_ln_v3.json --name pixel6 --output predictors/pixel6
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from nas.errors import NasError
from nas.latency import nn_meter
from nas.latency.model import TreeOptions, UnitModel, fit_unit_model
from nas.latency.predictor import Predictor, pack
from nas.latency.report import DataFacts, Errors, KindReport, Probe, Report
from nas.latency.rows import IntArray
from nas.latency.signature import format_signature, sizes_of, words
from nas.latency.table import LatencyTable
from nas.latency.times import FloatArray
from nas.latency.validation import cross_validate, fold_of, inside, interval_of, leave_edges_out, widest

_PROBES = 3


@dataclass(frozen=True)
class _Fitted:
    model: UnitModel
    report: KindReport
    true: FloatArray
    predicted: FloatArray
    inside: np.ndarray


def fit_predictor(
    table: LatencyTable,
    *,
    name: str,
    data: DataFacts,
    folds: int = 5,
    seed: int = 0,
    trees: TreeOptions | None = None,
    progress: Callable[[str], None] | None = None,
) -> Predictor:
    """Fit one model per kind of unit, and measure how far it is off.

    Args:
        table: timed units; every kind needs at least two per fold.
        name: the predictor's name.
        data: where the times come from.
        folds: of the cross-validation.
        seed: of the cross-validation's folds; the fit itself has no randomness.
        trees: how the trees are grown.
        progress: called with one line per kind.

    Raises:
        NasError: no units, or too few of a kind.
    """
    import xgboost

    if not len(table):
        raise NasError("the table has no timed units to fit on.")
    trees = trees or TreeOptions()
    fitted: dict[str, _Fitted] = {}
    for kind in table.kinds:
        fitted[kind] = _fit_kind(kind, table.rows(kind), table.times(kind).ms, folds, seed, trees)
        if progress:
            about = fitted[kind].report
            progress(f"{kind}: {about.errors.units} units, {about.errors}; outside the range {about.outside}")
    every = list(fitted.values())
    report = Report(
        name=name,
        data=data,
        folds=folds,
        seed=seed,
        trees=asdict(trees),
        libraries={"xgboost": xgboost.__version__, "numpy": np.__version__},
        errors=Errors.of(
            np.concatenate([kind.true for kind in every]), np.concatenate([kind.predicted for kind in every])
        ),
        coverage=float(np.concatenate([kind.inside for kind in every]).mean()),
        kinds={kind: one.report for kind, one in fitted.items()},
    )
    return Predictor(report, models={kind: one.model for kind, one in fitted.items()})


def _fit_kind(
    kind: str, rows: IntArray, ms: FloatArray, folds: int, seed: int, trees: TreeOptions
) -> _Fitted:
    fold = fold_of(len(rows), folds, seed)
    predicted = cross_validate(kind, rows, ms, fold, trees)
    held = inside(ms, predicted, fold)
    outside_true, outside_predicted = leave_edges_out(kind, rows, ms, trees)
    model = fit_unit_model(kind, rows, ms, trees)
    interval, sizes = interval_of(ms, predicted), sizes_of(kind, rows)
    report = KindReport(
        ranges={
            key: (int(values.min()), int(values.max()))
            for key, values in sizes.items()
            if not words(kind, key)
        },
        square=bool((sizes["h"] == sizes["w"]).all()),
        words={
            key: [words(kind, key)[code] for code in np.unique(values)]
            for key, values in sizes.items()
            if words(kind, key)
        },
        work=dict(model.work),
        features=list(model.features),
        probe=_probe(model, rows),
        errors=Errors.of(ms, predicted),
        interval=interval,
        coverage=float(held.mean()),
        outside=Errors.of(outside_true, outside_predicted),
        outside_interval=widest(interval, interval_of(outside_true, outside_predicted)),
        file=f"{kind}.ubj.gz",
        sha256=hashlib.sha256(pack(model.booster)).hexdigest(),
    )
    return _Fitted(model, report, ms, predicted, held)


def _probe(model: UnitModel, rows: IntArray) -> Probe:
    chosen = rows[np.linspace(0, len(rows) - 1, _PROBES).astype(int)]
    inputs, _ = model.inputs(chosen)
    return Probe(units=[format_signature(model.kind, row) for row in chosen], inputs=inputs.tolist())


def data_facts(path: str | Path, table: LatencyTable) -> DataFacts:
    """Facts about a file of nn-Meter's that `table` was read from."""
    return DataFacts(
        file=Path(path).name,
        sha256=hashlib.sha256(Path(path).read_bytes()).hexdigest(),
        source=nn_meter.SOURCE,
        licence=nn_meter.LICENCE,
        units=len(table),
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line: fit a predictor from one of nn-Meter's JSON files and write its folder."""
    parser = argparse.ArgumentParser(prog="python -m nas.latency.fit", description=__doc__.splitlines()[0])
    parser.add_argument("format", choices=["nn-meter"], help="kind of file")
    parser.add_argument("file", type=Path, help="the published JSON file")
    parser.add_argument("--name", required=True, help="name of the predictor")
    parser.add_argument("--output", type=Path, required=True, help="folder to write")
    parser.add_argument("--seed", type=int, default=0, help="of the cross-validation's folds (default 0)")
    options = parser.parse_args(arguments)
    try:
        table = nn_meter.read(options.file)
        facts = data_facts(options.file, table)
        predictor = fit_predictor(table, name=options.name, data=facts, seed=options.seed, progress=_say)
        predictor.write(options.output)
    except NasError as error:
        parser.exit(1, f"Error: {error}\n")
    _say(f"all kinds: {predictor.report.errors.units} units, {predictor.report.errors}")
    _say(f"written to {options.output}")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
