"""`nas front`: the Pareto front of a study."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    new_table,
    open_storage,
    text,
    trial_cells,
    trial_json,
    trial_metrics,
)
from nas.metrics import Metric

if TYPE_CHECKING:
    from rich.table import Table

    from nas.store import StudyRow, TrialRow


def front(
    study: StudyArgument,
    form: DataFormatOption = DataFormat.table,
    storage: StorageOption = None,
) -> None:
    """Print the Pareto front of a study, cheapest first."""
    opened = open_storage(storage)
    row = opened.study(study)
    members = cheapest_first(row, opened.front(row.id))
    if form is DataFormat.json:
        echo_json([trial_json(member) for member in members])
    elif form is DataFormat.yaml:
        echo_yaml([trial_json(member) for member in members])
    elif form is DataFormat.csv:
        echo_csv([trial_cells(member) for member in members])
    elif members:
        echo_table(_table(row, members))
        _explain(row, members)
    else:
        echo(f"The front of {study!r} is empty: {row.n_trials:,} trials, {row.n_complete:,} complete.")


def cheapest_first(study: StudyRow, members: list[TrialRow]) -> list[TrialRow]:
    """Front members by the first objective that is minimised, else by trial number."""
    cost = next((one.name for one in study.objectives if one.direction == "min"), None)
    return sorted(members, key=lambda member: member.metrics[cost].value if cost else member.number)


def _table(study: StudyRow, members: list[TrialRow]) -> Table:
    names = _names(study, members)
    provenances = {name: _provenances(members, name) for name in names}
    heads = [f"{name}\n{kinds[0] if len(kinds) == 1 else ''}".strip() for name, kinds in provenances.items()]
    table = new_table("trial", "arch", *heads, right=[0, *range(2, len(names) + 2)])
    table.columns[1].no_wrap = True
    for member in members:
        metrics = trial_metrics(member)
        told = [_told(metrics[name], len(provenances[name]) > 1) if name in metrics else "" for name in names]
        table.add_row(f"{_mark(study, member)}{member.number}", member.arch_id, *told)
    return table


def _names(study: StudyRow, members: list[TrialRow]) -> list[str]:
    """Objectives, each followed by what later stages found for it."""
    known = dict.fromkeys(name for member in members for name in trial_metrics(member))
    return [name for one in study.objectives for name in known if _is(name, one.name)]


def _is(name: str, objective: str) -> bool:
    return name == objective or name.partition(".")[2].partition("[")[0] == objective


def _provenances(members: list[TrialRow], name: str) -> list[str]:
    found = [metrics[name].provenance for metrics in map(trial_metrics, members) if name in metrics]
    return list(dict.fromkeys(found))


def _told(metric: Metric, mixed: bool) -> str:
    from nas.report.units import interval, quantity

    facts = [interval(metric), metric.provenance if mixed else ""]
    told = ", ".join(part for part in facts if part)
    return text(quantity(metric.value, metric.unit) + (f" ({told})" if told else ""))


def _mark(study: StudyRow, member: TrialRow) -> str:
    return "≈ " if str(member.number) in (study.facts.get("marked") or {}) else ""


def _explain(study: StudyRow, members: list[TrialRow]) -> None:
    if any(_mark(study, member) for member in members):
        echo("≈ accuracy within the interval of a cheaper point")
