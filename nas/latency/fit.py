"""Fitting a predictor to the times of a device: its units, how they add up, and what does not add up."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np

from nas.errors import NasError
from nas.latency.few import by_kernels, timed_by_kernels
from nas.latency.fit_kind import fit_kind
from nas.latency.kernel_model import fit_kernel_model, kernel_terms
from nas.latency.model import TreeOptions
from nas.latency.network import network_sums
from nas.latency.network_table import NetworkTable
from nas.latency.predictor import Predictor, pack
from nas.latency.report import DataFacts, Errors, Report
from nas.latency.residual import Residual, fit_residual
from nas.latency.rows import IntArray
from nas.latency.spread import fit_spread, half_width
from nas.latency.table import LatencyTable
from nas.latency.timed_units import TimedUnits
from nas.latency.times import FloatArray
from nas.latency.transfer import Transfer, fit_transfer
from nas.latency.validation import LEAST_UNITS, HeldOut
from nas.space.space import Space

_LEAST_OWN = 20  # units of a kind from which its own trees may replace what is transferred
_NETWORK_TREES = "networks.ubj.gz"


def fit_predictor(
    table: LatencyTable,
    *,
    name: str,
    data: DataFacts,
    folds: int = 5,
    seed: int = 0,
    trees: TreeOptions | None = None,
    networks: NetworkTable | None = None,
    spaces: Mapping[str, Space] | None = None,
    free: Collection[str] = (),
    like: Predictor | Sequence[Predictor] | None = None,
    progress: Callable[[str], None] | None = None,
) -> Predictor:
    """Fit every level of a predictor, and measure how far each is off.

    Args:
        table: timed units. Kinds with three or more get trees (with fewer than two units per fold every unit is
            left out in turn), but with fewer than five, or with fewer than 20 where it is clearly less far off,
            they are left to the kernel model; all units together get that, and it times any unit of any block.
        name: the predictor's name.
        data: where the times come from.
        folds: of the cross-validation.
        seed: of the folds and of sampled networks; the fit itself has no randomness.
        trees: how the trees are grown.
        networks: timed networks, to learn what does not add up; those of `spaces` are used.
        spaces: by name. Networks of theirs also show how units' errors add up.
        free: kinds of unit that cost no time of their own.
        like: predictors of other devices, to be corrected by this one's units. For a kind with 20 or more, what
            has the smaller error, that or the kind's own trees, times it.
        progress: called with one line per kind.

    Raises:
        NasError: no timed units.
    """
    import xgboost

    if not len(table):
        raise NasError("the table has no timed units to fit on.")
    trees, spaces, say = trees or TreeOptions(), spaces or {}, progress or (lambda line: None)
    units = _that_run(table)
    if not units:
        raise NasError("no timed unit of the table executes anything; there is nothing to fit on.")
    fitted = {
        kind: fit_kind(kind, rows, ms, folds, seed, trees)
        for kind, (rows, ms) in units.items()
        if len(rows) >= LEAST_UNITS
    }
    transfer, held = _transferred(units, like)
    few = {} if transfer else by_kernels(units, fitted, _LEAST_OWN)
    for kind in few:
        fitted.pop(kind, None)
    for kind, one in list(fitted.items()):
        too_few = len(one.held.true) < _LEAST_OWN
        if kind in held and (too_few or _mean_error(held[kind]) <= one.report.errors.mean):
            del fitted[kind]
            continue
        held[kind] = one.held
        say(f"{kind}: {one.report.errors.units} units, {one.report.errors}; outside {one.report.outside}")
    report = Report(
        name=name,
        data=data,
        folds=folds,
        seed=seed,
        trees=trees.numbers(),
        libraries={"xgboost": xgboost.__version__, "numpy": np.__version__},
        errors=_errors([*held.values(), *few.values()]),
        coverage=_coverage([*held.values(), *few.values()]),
        kinds={kind: one.report for kind, one in fitted.items()},
        kernels=fit_kernel_model(units).model_copy(update={"timed": timed_by_kernels(few)}),
        spread=fit_spread(held, list(spaces.values()), seed, free),
        transfer=transfer.report if transfer else None,
    )
    models = {kind: one.model for kind, one in fitted.items()}
    predictor = Predictor(report, models=models, transfer=transfer)
    return _with_residual(predictor, table, networks, spaces, free) if networks else predictor


def _that_run(table: LatencyTable) -> dict[str, tuple[IntArray, FloatArray]]:
    """Sizes and ms by kind, of units that execute something: for one that hands its input on the kernel model says 0,
    and no ratio to that is finite."""
    found = {}
    for kind in table.kinds:
        rows, ms = table.rows(kind), table.times(kind).ms
        runs = sum(kernel_terms(kind, rows).values(), np.zeros(len(rows))) > 0
        if runs.any():
            found[kind] = (rows[runs], ms[runs])
    return found


def _transferred(
    units: Mapping[str, tuple[IntArray, FloatArray]], like: Predictor | Sequence[Predictor] | None
) -> tuple[Transfer | None, dict[str, HeldOut]]:
    sources = [like] if isinstance(like, Predictor) else list(like or ())
    found = fit_transfer(units, sources) if sources else None
    return found or (None, {})


def _mean_error(held: HeldOut) -> float:
    return Errors.of(held.true, held.predicted).mean


def _errors(held: Sequence[HeldOut]) -> Errors | None:
    if not held:
        return None
    return Errors.of(
        np.concatenate([one.true for one in held]), np.concatenate([one.predicted for one in held])
    )


def _coverage(held: Sequence[HeldOut]) -> float | None:
    return float(np.mean(np.concatenate([one.inside for one in held]))) if held else None


def _with_residual(
    predictor: Predictor,
    table: LatencyTable,
    networks: NetworkTable,
    spaces: Mapping[str, Space],
    free: Collection[str],
) -> Predictor:
    """The predictor with what does not add up in the measured networks of the spaces, if there are enough."""
    report, kinds = predictor.report, [kind for kind in table.kinds if kind not in free]
    device = TimedUnits(report.name, table, predictor, frozenset(free), kinds)
    sums: list[dict[str, FloatArray]] = []
    measured: list[float] = []
    for space in spaces.values():
        archs, times = networks.of(space)
        sums += [network_sums(device, space.lower(arch), 1) for arch in archs]
        measured += times.ms.tolist()
    if not sums:
        return predictor
    values = {key: np.concatenate([one[key] for one in sums]) for key in sums[0]}
    half = half_width(values, report.spread)
    residual = fit_residual(values, half, np.array(measured), kinds, report.seed)
    if residual is None:
        return predictor
    about = residual.report
    if residual.booster is not None:
        digest = hashlib.sha256(pack(residual.booster)).hexdigest()
        about = about.model_copy(update={"file": _NETWORK_TREES, "sha256": digest})
    report = report.model_copy(update={"residual": about})
    return replace(predictor, report=report, residual=Residual(about, residual.booster))
