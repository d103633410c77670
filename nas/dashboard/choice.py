"""Architectures one can choose: by a click on a point, or from a list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import plotly.graph_objects as go

from nas.dashboard.brushing import points_of
from nas.report import candidates
from nas.report.candidates import Candidate
from nas.report.front import View
from nas.report.snapshot import Snapshot
from nas.report.words import hover

TRIAL, PRESET = "trial:", "preset:"


def key_of(candidate: Candidate) -> str:
    """What a candidate is chosen by: `"trial:12"`, `"preset:L1"`."""
    return f"{PRESET}{candidate.name}" if candidate.number is None else f"{TRIAL}{candidate.number}"


def find(snapshot: Snapshot, key: str) -> Candidate | None:
    """The candidate of that key, with all that is known of it; None where it is no more."""
    if key.startswith(PRESET):
        named = key.removeprefix(PRESET)
        return next((one for one in candidates.of_presets(snapshot) if one.name == named), None)
    number = key.removeprefix(TRIAL)
    if not number.isdecimal():
        return None
    member = next((one for one in candidates.of_front(snapshot) if one.number == int(number)), None)
    if member is not None:
        return member
    rows = (snapshot.trials["number"] == int(number)).to_numpy().nonzero()[0]
    return candidates.of_rows(snapshot, rows.tolist())[0] if len(rows) else None


def options(snapshot: Snapshot, chosen: str | None) -> list[dict[str, str]]:
    """Front members, cheapest first, presets, and what is chosen already: `{"label", "value"}` each."""
    cost = next((one.name for one in snapshot.study.objectives if one.direction == "min"), None)
    members = candidates.of_front(snapshot)
    if cost is not None:
        members.sort(key=lambda one: one.metrics[cost].value)
    found = [*members, *candidates.of_presets(snapshot)]
    other = find(snapshot, chosen) if chosen and chosen not in map(key_of, found) else None
    return [{"label": _label(one), "value": key_of(one)} for one in ([other] if other else []) + found]


def _label(candidate: Candidate) -> str:
    return f"preset {candidate.name}" if candidate.number is None else candidate.name


def clickable(figure: go.Figure, view: View) -> go.Figure:
    """The figure of a view with the key of each point as its `customdata`."""
    known = {_first_line(one): key_of(one) for points in points_of(view) for one in points.candidates}
    for trace in figure.data:
        texts = trace.hovertext
        if texts is not None and not isinstance(texts, str):
            trace.customdata = [known.get(text.partition("<br>")[0]) for text in texts]
    return figure


def _first_line(candidate: Candidate) -> str:
    """How the hover text of a point begins: enough to know it, and quicker than all of it."""
    return hover(replace(candidate, metrics={}, final={}, arch={})).partition("<br>")[0]


def clicked(data: Mapping[str, Any] | None) -> str | None:
    """The key of the point in Plotly's `clickData`."""
    points = (data or {}).get("points") or [{}]
    key = points[0].get("customdata")
    return key if isinstance(key, str) else None
