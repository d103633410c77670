"""Where the time of a network goes: latency by stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from nas.report import style
from nas.report.front import thinned
from nas.report.snapshot import Snapshot
from nas.report.units import significant
from nas.report.words import plain

MOST = 24  # front members that are drawn, presets come on top


@dataclass(frozen=True)
class Breakdown:
    """Latency by stage on one device.

    Attributes:
        names: of the architectures, fastest first: `"trial 12"` or a preset's name.
        preset: whether each is one.
        stages: in network order.
        times: float64 (architectures, stages), ms.
        left_out: front members that are not shown.
    """

    device: str
    names: list[str]
    preset: list[bool]
    stages: list[str]
    times: NDArray[np.float64]
    left_out: int


def breakdown_data(snapshot: Snapshot) -> list[Breakdown]:
    """One breakdown for each device the run recorded one for."""
    recorded: Mapping[str, Mapping[str, Mapping[str, float]]] = snapshot.facts.get("breakdown") or {}
    trials = {trial.arch_id: f"trial {trial.number}" for trial in snapshot.front}
    return [_of_device(device, times, trials) for device, times in recorded.items() if times]


def _of_device(device: str, times: Mapping[str, Mapping[str, float]], trials: Mapping[str, str]) -> Breakdown:
    members = sorted((key for key in times if key in trials), key=lambda key: sum(times[key].values()))
    shown = [members[index] for index in thinned(np.arange(len(members)), MOST)]
    presets = [key for key in times if key not in trials]
    keys = sorted([*shown, *presets], key=lambda key: sum(times[key].values()))
    stages = list(dict.fromkeys(stage for key in keys for stage in times[key]))
    table = [[float(times[key].get(stage, 0.0)) for stage in stages] for key in keys]
    return Breakdown(
        device,
        [trials.get(key, key) for key in keys],
        [key not in trials for key in keys],
        stages,
        np.array(table, dtype=np.float64).reshape(len(keys), len(stages)),
        len(members) - len(shown),
    )


def draw_breakdown(data: Breakdown, *, narrow: bool = False) -> go.Figure:
    """A stacked bar for each architecture, fastest on top."""
    figure = style.figure(110 + 22 * len(data.names))
    labels = _labels(data)
    for column, (stage, colour) in enumerate(zip(data.stages, style.ordered(len(data.stages)))):
        times = data.times[:, column]
        texts = [
            f"<b>{plain(name)}</b><br>{plain(stage)}: {significant(time)} ms of {significant(total)} ms"
            for name, time, total in zip(data.names, times, data.times.sum(axis=1))
        ]
        figure.add_trace(
            go.Bar(
                y=labels,
                x=times,
                orientation="h",
                name=plain(stage),
                marker={"color": colour, "line": {"width": 1, "color": style.PAPER}},
                hovertext=texts,
                hoverinfo="text",
            )
        )
    figure.update_layout(barmode="stack", bargap=0.18, legend_traceorder="normal")
    figure.update_xaxes(title_text=plain(f"Latency on {data.device} (ms)"), showgrid=True)
    figure.update_yaxes(type="category", autorange="reversed", tickfont={"size": 11}, tickmode="linear")
    return figure


def _labels(data: Breakdown) -> list[str]:
    """Presets stand out; equal names stay apart, because equal labels would share a bar."""
    labels = [
        f"<b>{plain(name)}</b>" if preset else plain(name) for name, preset in zip(data.names, data.preset)
    ]
    return _distinct(labels)


def _distinct(labels: Sequence[str]) -> list[str]:
    seen: dict[str, int] = {}
    distinct = []
    for label in labels:
        seen[label] = seen.get(label, 0) + 1
        distinct.append(label if seen[label] == 1 else f"{label} ({seen[label]})")
    return distinct
