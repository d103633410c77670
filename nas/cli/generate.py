"""`nas generate`: new architectures from a learned generator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas.cli.output import (
    DataFormat,
    DataFormatOption,
    StorageOption,
    StudyArgument,
    echo,
    echo_csv,
    echo_json,
    echo_table,
    echo_yaml,
    metrics_json,
    new_table,
    open_storage,
    text,
)

if TYPE_CHECKING:
    from nas.metrics import Metric
    from nas.pipeline.generating import Generated


def generate(
    study: StudyArgument,
    n: Annotated[int, typer.Option("-n", help="How many.", min=1)] = 10,
    constraint: Annotated[
        list[str] | None,
        typer.Option(
            "--constraint", help="In place of the study's, e.g. 'macs<=500M'; repeat.", metavar="TEXT"
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the draw.", min=0)] = 0,
    space: Annotated[
        str | None, typer.Option(help="File of the space, if not found by name.", metavar="FILE")
    ] = None,
    form: DataFormatOption = DataFormat.table,
    storage: StorageOption = None,
) -> None:
    """Make new, different, feasible architectures with what a generative search has learned, without searching."""
    from nas.pipeline.generating import generate as make

    opened = open_storage(storage)
    made = make(
        opened.study(study), opened.address, n, constraints=constraint or (), seed=seed, space_file=space
    )
    _print(made, form)
    if len(made.archs) < n:
        echo(f"the generator makes {len(made.archs)} that are new and feasible, not {n}", err=True)
    for bound in made.unchecked:
        echo(f"not checked, it needs an evaluation: {bound}", err=True)


def _print(made: Generated, form: DataFormat) -> None:
    rows: list[dict[str, Any]] = [
        {"arch_id": arch.id, "arch": dict(arch.values), "metrics": metrics_json(metrics)}
        for arch, metrics in zip(made.archs, made.metrics)
    ]
    if form is DataFormat.json:
        echo_json(rows)
    elif form is DataFormat.yaml:
        echo_yaml(rows)
    elif form is DataFormat.csv:
        echo_csv([_flat(row) for row in rows])
    else:
        _table(made)


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"arch_id": row["arch_id"]}
    for name, metric in row["metrics"].items():
        found |= {
            name: metric["value"],
            f"{name}.unit": metric["unit"],
            f"{name}.provenance": metric["provenance"],
        }
    return found | {f"arch.{name}": value for name, value in row["arch"].items()}


def _table(made: Generated) -> None:
    names = list(made.metrics[0])
    table = new_table("arch", *[_head(made, name) for name in names], right=range(1, len(names) + 1))
    table.columns[0].no_wrap = True
    for arch, metrics in zip(made.archs, made.metrics):
        table.add_row(arch.id, *[text(_told(metrics[name])) for name in names])
    echo_table(table)


def _head(made: Generated, name: str) -> str:
    kinds = list(dict.fromkeys(metrics[name].provenance for metrics in made.metrics))
    return f"{name}\n{kinds[0] if len(kinds) == 1 else 'mixed'}"


def _told(metric: Metric) -> str:
    from nas.report.units import interval, quantity

    ends = interval(metric)
    return quantity(metric.value, metric.unit) + (f" ({ends})" if ends else "")
