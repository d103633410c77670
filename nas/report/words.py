"""Text about architectures, safe to show: hover texts, decisions in one line a stage."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any

from nas.report.candidates import Candidate
from nas.report.snapshot import MEASURED
from nas.report.units import described, title

_LINES = 14
_LONGEST = 64


def plain(text: object) -> str:
    """Text as Plotly shows it verbatim: Plotly reads a subset of HTML in titles and hover texts."""
    return html.escape(str(text), quote=False)


def decision_lines(arch: Mapping[str, Any]) -> list[str]:
    """Decisions by their stage: `T1: depth 2 · width 64`, those without one first."""
    loose: list[str] = []
    stages: dict[str, list[str]] = {}
    for name, value in arch.items():
        stage, dot, choice = name.partition(".")
        if dot:
            stages.setdefault(stage, []).append(f"{choice} {value}")
        else:
            loose.append(f"{name} {value}")
    lines = [" · ".join(loose)] if loose else []
    return lines + [f"{stage}: {' · '.join(parts)}" for stage, parts in stages.items()]


def metric_lines(candidate: Candidate) -> list[tuple[str, str]]:
    """Every metric with its stage, and its value with interval and provenance; misses of a prediction are told."""
    lines = [(title(name), described(metric)) for name, metric in candidate.metrics.items()]
    lines += [(f"{title(name)}, final", described(metric)) for name, metric in candidate.final.items()]
    for stage, metrics in candidate.later.items():
        for name, metric in metrics.items():
            missed = stage == MEASURED and candidate.missed(name)
            told = f"{described(metric)}; outside the predicted interval" if missed else described(metric)
            lines.append((f"{title(name)}, {stage}", told))
    return lines


def hover(candidate: Candidate) -> str:
    """All about one point, as Plotly's kind of HTML: name, metrics with provenance, decisions."""
    lines = [f"<b>{plain(candidate.name)}</b>  {plain(candidate.arch_id)}"]
    lines += [plain(f"{name}: {value}") for name, value in metric_lines(candidate)]
    if candidate.cheaper is not None:
        lines.append(f"Within the interval of the cheaper trial {candidate.cheaper}")
    decisions = [part for line in decision_lines(candidate.arch) for part in _folded(line)]
    lines += ["", *(plain(line) for line in decisions[:_LINES])]
    if len(decisions) > _LINES:
        lines.append(f"… and {len(decisions) - _LINES} more lines")
    return "<br>".join(lines)


def _folded(line: str) -> list[str]:
    """A line in parts short enough for a phone."""
    parts, current = [], ""
    for word in line.split(" "):
        if current and len(current) + len(word) >= _LONGEST:
            parts.append(current)
            current = "  "
        current += f" {word}" if current.strip() else word
    return [*parts, current]


def listed(words: list[str]) -> str:
    """`"a, b and c"`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""
