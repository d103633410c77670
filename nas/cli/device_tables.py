"""What `nas device` and `nas predictor` print of predictors and of what is known of a space."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from nas.cli.output import new_table

if TYPE_CHECKING:
    from rich.table import Table

    from nas.latency.coverage import KnownUnits
    from nas.latency.report import Errors, KindReport, Report


def error_cells(errors: Errors | None) -> list[str]:
    """Share within ±10 % and mean error, empty where none are known."""
    return [errors.within, f"{100 * errors.mean:.1f} %"] if errors else ["", ""]


def percent(share: float | None, digits: int = 1) -> str:
    """A share in 0..1; empty for none."""
    return "" if share is None or share != share else f"{100 * share:.{digits}f} %"


def kind_table(report: Report) -> Table:
    """What a predictor's levels know of each kind of unit."""
    table = new_table(
        "kind",
        "units",
        "within ±10 %",
        "mean error",
        "in the 90 % interval",
        "just outside",
        "between values",
        "by kernels",
    )
    for kind in sorted({*report.kinds, *report.kernels.errors, *report.kernels.timed}):
        about, left_out = report.kinds.get(kind), report.kernels.errors.get(kind)
        timed = report.kernels.timed.get(kind)
        errors = about.errors if about else timed.errors if timed else None
        table.add_row(
            kind,
            f"{errors.units:,}" if errors else "",
            *error_cells(errors),
            percent(about.coverage if about else None),
            error_cells(about.outside if about else None)[1],
            _worst_gap(about),
            error_cells(left_out)[1],
        )
    return table


def _worst_gap(about: KindReport | None) -> str:
    """Mean error of units whose value of the hardest size was never fitted, and the size."""
    gaps = {size: gap.errors.mean for size, gap in about.gaps.items() if gap.errors} if about else {}
    if not gaps:
        return ""
    worst = max(gaps, key=lambda size: gaps[size])
    return f"{percent(gaps[worst])} ({worst})"


def sentences(report: Report) -> Iterator[str]:
    """How a predictor's networks and last resorts do, one line each."""
    if report.spread:
        said = (
            "networks of units held out"
            if report.spread.source == "spaces"
            else "random sets of units held out"
        )
        yield f"{said}: {report.spread.errors}; {percent(report.spread.coverage)} in the 90 % interval"
    if report.residual:
        about = report.residual
        yield (
            f"measured networks ({about.errors.units}): sums of units {about.sums}; corrected ({about.form}), each "
            f"left out, {about.errors}; {percent(about.coverage)} in the 90 % interval"
        )
    if report.transfer:
        one = report.transfer
        yield (
            f"transferred from {', '.join(one.sources)} by {one.units} units, each left out: {one.errors}; "
            f"{percent(one.coverage)} in the 90 % interval"
        )
    if report.kernels.errors:
        means = [errors.mean for errors in report.kernels.errors.values()]
        yield (
            f"kinds of unit left out as a whole, by kernels: mean error {percent(min(means), 0)} to "
            f"{percent(max(means), 0)}; stated 90 % interval: a factor of {math.exp(report.kernels.log_half):.2f}"
        )
    constrained = {kind: about.monotone for kind, about in report.kinds.items() if about.monotone}
    if constrained:
        told = "; ".join(f"{kind} in {', '.join(sizes)}" for kind, sizes in constrained.items())
        yield f"never faster as a size grows: {told}"


def coverage_table(known: Sequence[KnownUnits]) -> Table:
    """Which share of a space's units comes from where: of distinct units, and of a network's layers."""
    from nas.latency.coverage import TOLD, overall

    shares = {one.kind: one.shares() for one in known}
    every = overall(list(known))
    table = new_table("kind", "units", "layers", *(TOLD[level] for level in every), "± (90 %)")
    for one in known:
        cells = [_shares(shares[one.kind].get(level)) for level in every]
        table.add_row(one.kind, f"{len(one.rows):,}", f"{one.use.sum():.1f}", *cells, percent(one.half_width))
    units, layers = sum(len(one.rows) for one in known), sum(float(one.use.sum()) for one in known)
    table.add_row("all", f"{units:,}", f"{layers:.1f}", *(_shares(pair) for pair in every.values()), "")
    table.caption = "share of distinct units / of a network's layers"
    return table


def _shares(pair: tuple[float, float] | None) -> str:
    return f"{percent(pair[0])} / {percent(pair[1])}" if pair else ""
