"""`nas show`: everything a storage knows of one architecture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas.cli.lookup import Found, find
from nas.cli.output import (
    Format,
    FormatOption,
    StorageOption,
    echo,
    echo_json,
    echo_table,
    metrics_json,
    new_grid,
    new_table,
    text,
    trial_metrics,
)
from nas.metrics import Metric

if TYPE_CHECKING:
    from rich.table import Table


def show(
    arch: Annotated[
        str,
        typer.Argument(
            help="An arch id, the beginning of one, STUDY/NUMBER or STUDY/PRESET.", metavar="ARCH"
        ),
    ],
    form: FormatOption = Format.table,
    storage: StorageOption = None,
) -> None:
    """Show one architecture: decisions, metrics, and the studies and fronts it is on."""
    places = find(storage, arch)
    if form is Format.json:
        echo_json(_told(places))
        return
    known = _arch(places)
    echo(f"arch {places[0].arch_id}\n")
    echo_table(_decisions(known))
    for place in places:
        echo(f"\n{_where(place)}")
        echo_table(_metrics(_of(place)))


def _told(places: Sequence[Found]) -> dict[str, Any]:
    first = next((place for place in places if place.trial), places[0])
    return {
        "arch_id": first.arch_id,
        "arch": dict(_arch(places)),
        "metrics": metrics_json(_of(first)),
        "studies": [_place(place) for place in places],
    }


def _place(place: Found) -> dict[str, Any]:
    about: dict[str, Any] = {"study": place.study.name}
    if place.trial:
        about |= {"trial": place.trial.number, "state": place.trial.state, "on_front": place.on_front}
        about["generation"] = place.trial.generation
    if place.preset:
        about["preset"] = place.preset.name
    return about | {"metrics": metrics_json(_of(place))}


def _arch(places: Sequence[Found]) -> Mapping[str, Any]:
    known = places[0].trial or places[0].preset
    assert known is not None
    return known.arch


def _of(place: Found) -> Mapping[str, Metric]:
    if place.trial:
        return trial_metrics(place.trial)
    return place.preset.metrics if place.preset else {}


def _where(place: Found) -> str:
    if place.preset:
        return f"{place.study.name}: preset {place.preset.name}"
    assert place.trial is not None
    state = "on the front" if place.on_front else place.trial.state
    return f"{place.study.name}: trial {place.trial.number}, {state}"


def _decisions(arch: Mapping[str, Any]) -> Table:
    grid = new_grid()
    stages: dict[str, list[str]] = {}
    for name, value in arch.items():
        stage, dot, choice = name.rpartition(".")
        stages.setdefault(stage if dot else name, []).append(f"{choice} {value}" if dot else str(value))
    for stage, choices in stages.items():
        grid.add_row(text(stage), text("  ".join(choices)))
    return grid


def _metrics(metrics: Mapping[str, Metric]) -> Table:
    from nas.report.units import interval, quantity

    table = new_table("metric", "value", "interval", "provenance", "detail", right=[1, 2])
    for name, metric in metrics.items():
        ends = interval(metric)
        table.add_row(
            *map(text, (name, quantity(metric.value, metric.unit), ends, metric.provenance, metric.detail))
        )
    return table
