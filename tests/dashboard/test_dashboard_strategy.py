"""What slimming cut and what a generator learned, to the number."""

from __future__ import annotations

from base64 import b64decode
from dataclasses import replace
from html import escape
from typing import Any

import numpy as np
from dashboard_small import HARM, learned

from nas.dashboard.history_panels import retraining
from nas.dashboard.strategy_panels import course, generator
from nas.report.snapshot import Snapshot


def _with(snapshot: Snapshot, name: str, steps: list[dict[str, Any]]) -> Snapshot:
    return replace(snapshot, series={**snapshot.series, name: list(enumerate(steps))})


def _numbers(values: Any) -> list[float]:
    """Numbers as Plotly sends them, which may be packed."""
    if isinstance(values, dict):
        return np.frombuffer(b64decode(values["bdata"]), values["dtype"]).tolist()  # type: ignore[no-any-return]
    return [float(value) for value in values]


def _shares(values: Any) -> list[float]:
    """The numbers among them; none where they are names."""
    packed = isinstance(values, dict) or all(isinstance(value, (int, float)) for value in values or "a")
    return _numbers(values) if packed and values is not None else []


def test_nothing_for_other_searches(small: Snapshot) -> None:
    assert course(small) == ([None], "")
    assert generator(small) == ([None] * 5, "")


def test_a_retrained_network_whose_id_means_harm(small: Snapshot) -> None:
    points = [(step, {"loss": 1.0, "lr": 0.1}) for step in range(3)]
    found = replace(small, retrainings={HARM: points})
    for figure in retraining(found)[:2]:
        assert figure is not None
        [line] = figure["data"]
        assert line["name"] == escape(HARM, quote=False)
        assert all(text.startswith(f"{escape(HARM, quote=False)}<br>step ") for text in line["hovertext"])


def test_the_cuts(small: Snapshot) -> None:
    steps = [
        {"arch_id": "a" * 16, "action": "start", "saved": 0.0, "cost": 9.0, "loss": 1.0},
        {"arch_id": "b" * 16, "action": f"{HARM} 2 → 1", "saved": 4.0, "cost": 5.0, "loss": 1.25},
    ]
    [figure], told = course(_with(small, "course", steps))
    assert figure is not None
    (line,) = [trace for trace in figure["data"] if trace["mode"] == "lines+markers"]
    assert _numbers(line["x"]) == [9.0, 5.0] and _numbers(line["y"]) == [1.0, 1.25]
    assert HARM not in line["hovertext"][1] and escape(HARM) in line["hovertext"][1]
    assert "1 cut." in told and "lost least for what it saved" in told


def test_what_the_generator_learned(small: Snapshot) -> None:
    rounds = [learned(8, skill=None), learned(16, skill=0.75)]
    figures, told = generator(_with(small, "generator", rounds))
    matters, moved, shift, progress, feasible = [figure["data"] for figure in figures if figure is not None]
    assert list(matters[0]["x"]) == [3.0, 1.0] and list(matters[0]["y"]) == [escape(HARM), "T1.depth"]
    assert [round(x, 6) for x in moved[0]["x"]] == [0.4, 0.1]
    assert _numbers(progress[0]["x"]) == [8, 16] and _numbers(progress[0]["y"]) == [68.0, 76.0]
    assert _numbers(feasible[0]["y"]) == [25.0, 25.0]
    shares = {round(x, 6) for trace in shift for key in "xy" for x in _shares(trace.get(key))}
    assert {10.0, 40.0, 50.0, 60.0, 90.0} <= shares
    assert "probed 32 networks" in told and f"most depends on {HARM} and T1.depth." in told
    assert "25.0 % of those of guessing" in told


def test_one_that_knows_too_little_yet(small: Snapshot) -> None:
    figures, told = generator(_with(small, "generator", [learned(2, skill=None)]))
    assert [figure is not None for figure in figures] == [False, True, True, True, True]
    assert "too few were evaluated" in told and f"moved most in {HARM} and T1.depth." in told
