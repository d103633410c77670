"""Tables of the report, as HTML. Every text is escaped here."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nas.metrics import Metric
from nas.plugins.compare import identities
from nas.printable import as_html
from nas.report.candidates import Candidate, of_front
from nas.report.snapshot import FINAL, LATER, MEASURED, Snapshot
from nas.report.units import Scale, duration, interval, number, percent, scale_for, title
from nas.report.words import decision_lines
from nas.store.records import SEARCH

_BANK = "bank."
_STAGES = (SEARCH, FINAL, *LATER)
_SHARES = {
    "exploited": "Draws taken from a memory bank",
    "preferred": "Draws chosen by the preference rule",
}


@dataclass(frozen=True)
class Head:
    """What a column is called, and what else must be known of it; plain text."""

    name: str
    facts: str = ""


@dataclass(frozen=True)
class Cell:
    """One cell: its HTML, and the number it is sorted by if it is one."""

    html: str
    key: float | None = None


def escaped(value: object) -> str:
    """Text as HTML shows it verbatim."""
    return as_html(value)


@dataclass(frozen=True)
class Column:
    """A metric as a column of the front's table."""

    head: Head
    metric: str
    stage: str
    scale: Scale


def table(heads: Sequence[Head], rows: Sequence[Sequence[Cell]], *, sortable: bool = False) -> str:
    """An HTML table. Columns of numbers are set flush right."""
    numeric = [
        bool(rows) and all(row[column].key is not None for row in rows) for column in range(len(heads))
    ]
    top = "".join(_head(head, right, sortable) for head, right in zip(heads, numeric))
    body = "".join(f"<tr>{''.join(map(_cell, row, numeric))}</tr>" for row in rows)
    kind = ' class="sortable"' if sortable else ""
    inner = f"<thead><tr>{top}</tr></thead><tbody>{body}</tbody>"
    return f'<div class="scroll" tabindex="0"><table{kind}>{inner}</table></div>'


def _head(head: Head, right: bool, sortable: bool) -> str:
    side = ' class="number"' if right else ""
    name = escaped(head.name)
    shown = f'<button type="button">{name}</button>' if sortable and name else name
    facts = f"<small>{escaped(head.facts)}</small>" if head.facts else ""
    return f'<th scope="col"{side}>{shown}{facts}</th>'


def _cell(cell: Cell, right: bool) -> str:
    side = ' class="number"' if right else ""
    key = f' data-key="{cell.key!r}"' if cell.key is not None else ""
    return f"<td{side}{key}>{cell.html}</td>"


def front_table(snapshot: Snapshot) -> str:
    """The members of the front: metrics of the search and of the end, decisions on request."""
    members = _cheapest_first(snapshot, of_front(snapshot))
    columns = _columns(members)
    heads = [Head("Trial"), Head("Arch"), *(column.head for column in columns), Head(""), Head("Decisions")]
    rows = []
    for member in members:
        found = [_metric(column, member) for column in columns]
        note = f'<span class="note">≈ trial {member.cheaper}</span>' if member.cheaper is not None else ""
        trial = Cell(str(member.number), float(member.number or 0))
        rows.append(
            [trial, Cell(f"<code>{escaped(member.arch_id)}</code>"), *found, Cell(note), _decisions(member)]
        )
    return table(heads, rows, sortable=True)


def _cheapest_first(snapshot: Snapshot, members: list[Candidate]) -> list[Candidate]:
    costs = [one.name for one in snapshot.study.objectives if one.direction == "min"]
    return sorted(members, key=lambda one: one.metrics[costs[0]].value) if costs else members


def _columns(members: Sequence[Candidate]) -> list[Column]:
    """A column for each metric that a member has, accuracies and latencies first."""
    found: dict[tuple[str, str], list[Metric]] = {}
    for stage in _STAGES:
        for member in members:
            for name, metric in member.at(stage).items():
                found.setdefault((name, stage), []).append(metric)
    retaken = {name for name, stage in found if stage != SEARCH}
    columns = [_column(name, stage, name in retaken, metrics) for (name, stage), metrics in found.items()]
    return sorted(columns, key=lambda column: (_rank(column.metric), _STAGES.index(column.stage)))


def _column(name: str, stage: str, retaken: bool, metrics: Sequence[Metric]) -> Column:
    scale = scale_for(metrics[0].unit, [metric.value for metric in metrics])
    kinds = dict.fromkeys(metric.provenance for metric in metrics if metric.provenance != "counted")
    told = stage if retaken and stage not in kinds else ""
    facts = ", ".join(part for part in (scale.axis, told, " or ".join(kinds)) if part)
    return Column(Head(title(name), facts), name, stage, scale)


def _rank(name: str) -> int:
    known = ("accuracy", "latency", "macs", "params", "memory", "train_params")
    base = name.partition("@")[0]
    return known.index(base) if base in known else len(known)


def _metric(column: Column, member: Candidate) -> Cell:
    metric = member.at(column.stage).get(column.metric)
    if metric is None or math.isnan(metric.value):
        return Cell("–", -math.inf)
    shown = escaped(number(metric.value, metric.unit, column.scale))
    ends = interval(metric, column.scale)
    text = f"{shown} <small>{escaped(ends)}</small>" if ends else shown
    if column.stage == MEASURED and member.missed(column.metric):
        text += ' <span class="note">outside the predicted interval</span>'
    return Cell(text, float(metric.value))


def _decisions(member: Candidate) -> Cell:
    lines = "<br>".join(map(escaped, decision_lines(member.arch)))
    return Cell(f"<details><summary>{len(member.arch)} decisions</summary>{lines}</details>")


def deviations_table(snapshot: Snapshot) -> str:
    """Where the run differs from the recipe `paper`; empty text if it noted nothing."""
    rows = [[Cell(f"<code>{escaped(row[0])}</code>"), *(Cell(_value(value)) for value in row[1:4])]
            for row in snapshot.facts.get("deviations") or []]  # fmt: skip
    return table([Head("Setting"), Head("Paper"), Head("Here"), Head("Why")], rows) if rows else ""


def sampler_list(snapshot: Snapshot) -> str:
    """What the sampler counted; empty text if it noted nothing."""
    noted: Mapping[str, Any] = snapshot.facts.get("sampler") or {}
    told = {_spoken(key): _counted(key, value) for key, value in noted.items() if not key.startswith(_BANK)}
    banks = [f"{key.removeprefix(_BANK)} {value:g}" for key, value in noted.items() if key.startswith(_BANK)]
    if banks:
        told["Entries in the bank of each level"] = escaped(", ".join(banks))
    items = "".join(f"<dt>{escaped(key)}</dt><dd>{value}</dd>" for key, value in told.items())
    return f"<h3>Sampler</h3><dl>{items}</dl>" if items else ""


def _counted(key: str, value: Any) -> str:
    return percent(float(value)) if key in _SHARES else _value(value)


def _spoken(key: str) -> str:
    return _SHARES.get(key, key.replace("_", " ").capitalize())


def facts_list(snapshot: Snapshot) -> str:
    """What must be known to repeat the run, as a definition list."""
    study, facts = snapshot.study, snapshot.facts
    rows: list[tuple[str, str]] = [
        ("Command", f"<code>{escaped(facts['command'])}</code>" if facts.get("command") else ""),
        ("State", escaped(study.state)),
        ("Began", escaped(f"{study.created:%Y-%m-%d %H:%M} UTC")),
        ("Last change", escaped(f"{study.updated:%Y-%m-%d %H:%M} UTC")),
        ("Space", f"{escaped(study.space)} <code>{escaped(study.space_hash)}</code>"),
        ("Constraints", "<br>".join(_value(one.get("text") or one) for one in study.constraints)),
        ("Trials", escaped(", ".join(f"{n:,} {state}" for state, n in snapshot.counts.items()))),
        ("Seed", _value(facts.get("seed"))),
        ("Threads", _value(facts.get("threads"))),
        ("Data", _value(facts.get("data"))),
        ("Devices", "<br>".join(map(escaped, facts.get("devices") or []))),
        ("Machine", _value(facts.get("machine"))),
        ("Wall time", _times(facts.get("wall_s"))),
        ("Versions", _value(facts.get("versions"))),
        ("Plug-ins", _value(identities(facts))),
        ("Git revision", f"<code>{escaped(facts['git'])}</code>" if facts.get("git") else ""),
    ]
    items = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in rows if value)
    config = escaped(json.dumps(study.config, indent=2, default=str))
    return f"<dl>{items}</dl><details><summary>Configuration</summary><pre>{config}</pre></details>"


def _times(phases: Any) -> str:
    if not isinstance(phases, Mapping):
        return duration(float(phases)) if phases else ""
    return escaped(", ".join(f"{name} {duration(float(seconds))}" for name, seconds in phases.items()))


def _value(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return escaped(", ".join(f"{key} {part}" for key, part in value.items()))
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_value, value))
    return escaped(f"{value:,.6g}" if isinstance(value, float) else value)
