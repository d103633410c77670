"""The page around the figures: one HTML file that needs nothing else.

Plotly's script is in it once. The page's security policy names its two scripts by their hashes
and allows no connection, so that a name from the storage could not run anything even if it were
not escaped.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from string import Template
from typing import Any

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from nas.report import style
from nas.report.sections import Plot, Section, sections
from nas.report.snapshot import Snapshot
from nas.report.summary import sentences, warnings

_PARTS = resources.files("nas.report") / "static"


def render(snapshot: Snapshot) -> str:
    """The report of a study as HTML."""
    study = snapshot.study
    return assemble(
        study.name,
        f"Space {study.space} · {study.state} · {study.updated:%Y-%m-%d %H:%M} UTC",
        " ".join(sentences(snapshot)),
        warnings(snapshot),
        sections(snapshot),
    )


def assemble(name: str, meta: str, summary: str, told: Sequence[str], found: Sequence[Section]) -> str:
    """A page of sections.

    Args:
        name, meta: title and the line under it, as plain text.
        summary: HTML.
        told: warnings, as plain text.
    """
    plotly, script = get_plotlyjs(), _part("report.js")
    return Template(_part("page.html")).substitute(
        policy=f"default-src 'none'; script-src {_hash(plotly)} {_hash(script)};"
        " style-src 'unsafe-inline'; img-src data: blob:",
        name=html.escape(name),
        css=_part("report.css"),
        plotly=plotly,
        script=script,
        colours=embedded(style.DARK),
        meta=html.escape(meta),
        summary=summary,
        warnings=_warnings(told),
        contents="".join(f'<a href="#{part.slug}">{html.escape(part.title)}</a>' for part in found),
        sections="".join(map(_section, found)),
    )


def embedded(data: Any) -> str:
    """Data as JSON that no text inside can end: it stands in a script element.

    NaN and infinities, which JSON lacks, become null.
    """
    text = json.dumps(_finite(data), separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def figure_data(figure: go.Figure) -> dict[str, Any]:
    """A figure as plain data: `{"data": [...], "layout": {...}}`."""
    plain: dict[str, Any] = json.loads(figure.to_json(validate=False))
    return plain


def _finite(data: Any) -> Any:
    if isinstance(data, Mapping):
        return {key: _finite(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [_finite(value) for value in data]
    return None if isinstance(data, float) and (data != data or abs(data) == float("inf")) else data


def _section(section: Section) -> str:
    plots = "".join(f"{_plot(plot)}" for plot in section.plots)
    grid = f'<div class="plots">{plots}</div>' if plots else ""
    return (
        f'<section id="{section.slug}"><h2>{html.escape(section.title)}</h2>'
        f'<p class="lead">{section.lead}</p>{grid}{section.after}</section>'
    )


def _plot(plot: Plot) -> str:
    wide, narrow = figure_data(plot.figure), figure_data(plot.narrow)
    data = {"data": wide["data"], "layout": wide["layout"], "narrow": narrow["layout"]}
    heading = f"<h3>{plot.heading}</h3>" if plot.heading else ""
    caption = f"<figcaption>{plot.caption}</figcaption>" if plot.caption else ""
    label = html.escape(plot.label)
    place = f'class="plot" role="img" aria-label="{label}" style="min-height:{wide["layout"]["height"]}px"'
    return (
        f"<figure{' class=wide' if plot.wide else ''}>{heading}"
        f'<div {place}></div><script type="application/json">{embedded(data)}</script>{caption}</figure>'
    )


def _warnings(texts: Sequence[str]) -> str:
    if not texts:
        return ""
    items = "".join(f"<li>{html.escape(text)}</li>" for text in texts)
    return f'<aside class="warnings" aria-label="Warnings"><ul>{items}</ul></aside>'


def _part(name: str) -> str:
    return (_PARTS / name).read_text(encoding="utf-8")


def _hash(script: str) -> str:
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return f"'sha256-{digest}'"
