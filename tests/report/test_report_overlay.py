"""Fronts over each other."""

from __future__ import annotations

import numpy as np
import pytest

from nas.report.overlay import Outline, Overlay
from nas.report.overlay_figure import draw_overlay
from nas.report.units import scale_for
from nas.store import Objective


@pytest.mark.parametrize(("count", "mode"), [(2, "lines+markers"), (3, "markers")])
def test_only_fronts_of_two_objectives_are_lines(count: int, mode: str) -> None:
    objectives = (
        Objective("accuracy", "max", "fraction"),
        Objective("latency", "min", "ms"),
        Objective("params", "min", "params"),
    )[:count]
    values = np.array([[0.5, 1.0, 9.0], [0.7, 4.0, 8.0], [0.6, 4.5, 2.0]])[:, :count]
    outlines = [Outline("one", values, ["a", "b", "c"], 1.0)]
    scales = [scale_for(objective.unit, values[:, i]) for i, objective in enumerate(objectives)]
    [trace] = draw_overlay(Overlay(objectives, values[0], outlines, x=1, y=0, scales=scales)).data
    assert trace.mode == mode and list(trace.x) == [1.0, 4.0, 4.5]
