"""Parallel coordinates and brushes, to the number."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from dashboard_small import ACCURACY, LATENCY

from nas.dashboard.brushing import (
    brushed,
    brushed_panels,
    first_keys,
    kept,
    keys,
    parallel_data,
    points_of,
)
from nas.dashboard.devices import by_device
from nas.dashboard.parallel_figure import draw_parallel
from nas.metrics import Metric
from nas.report.front import panels
from nas.report.overlay_figure import draw_overlay
from nas.report.snapshot import Snapshot, read_snapshot
from nas.store import Storage, TrialRecord


def test_axes_objectives_first_then_decisions(small: Snapshot) -> None:
    assert keys(small) == ["accuracy", "latency", "arch.kind", "arch.T1.depth", "arch.T1.width"]
    assert first_keys(small)[:2] == ["accuracy", "latency"]


def test_the_data(small: Snapshot) -> None:
    data = parallel_data(small, ["accuracy", "arch.T1.depth", "arch.T1.width", "arch.kind", "nothing"])
    assert data.numbers.tolist() == [0, 1, 2, 3, 4]
    assert data.colour == 0
    accuracy, depth, width, kind = data.dimensions
    np.testing.assert_allclose(accuracy.values, [50, 60, 55, 80, 90])
    assert accuracy.label == "Top-1 accuracy (%)"
    assert accuracy.ticks == ()
    assert depth.ticks == ("1", "2", "10")
    assert depth.values.tolist() == [0, 2, 1, 1, 2]
    assert width.ticks == ("–", "16", "32")
    assert width.values.tolist() == [1, 1, 0, 2, 2]
    assert kind.ticks == ("attention", "conv")
    assert kind.values.tolist() == [1, 0, 0, 1, 1]


@pytest.mark.parametrize(
    ("ranges", "expected"),
    [
        ({"accuracy": [(55, 80)]}, {1, 2, 3}),
        ({"accuracy": [(50, 56), (85, 95)]}, {0, 2, 4}),
        ({"accuracy": [(55, 80)], "arch.kind": [(0.75, 1.25)]}, {3}),
        ({"arch.T1.width": [(-0.25, 0.25)]}, {2}),
        ({"latency": [(100, 200)]}, set()),
        ({}, None),
    ],
)
def test_what_brushes_keep(small: Snapshot, ranges: Any, expected: set[int] | None) -> None:
    assert kept(small, ranges) == expected


def test_the_front_shows_what_is_kept_on_the_same_axes(small: Snapshot) -> None:
    [whole], [part] = panels(small), brushed_panels(small, {1, 2, 3})
    assert (part.x, part.y) == (whole.x, whole.y)
    view, before = part.views[0], whole.views[0]
    numbers = [[one.number for one in points.candidates] for points in points_of(view)]
    assert numbers == [[1, 3], [2], [], [None]]
    assert [[one.number for one in points.candidates] for points in points_of(before)] == [
        [0, 1, 3],
        [2],
        [4],
        [None],
    ]
    assert view.line[0].tolist() == before.line[0].tolist() == [1, 2, 4]
    assert (view.dominated_total, view.infeasible_total) == (1, 0)
    assert brushed_panels(small, None)[0].views[0].front.x.tolist() == [1, 2, 4]
    assert [len(points) for points in points_of(brushed_panels(small, set())[0].views[0])] == [0, 0, 0, 1]


def test_the_front_on_each_device_alone() -> None:
    storage = Storage("sqlite://")
    objectives = [ACCURACY, replace(LATENCY, name="latency@a"), replace(LATENCY, name="latency@b")]
    row = storage.create_study("two", space="toy", space_hash="0" * 12, objectives=objectives, config={})
    storage.set_reference_point(row.id, {"accuracy": 0.0, "latency@a": 10.0, "latency@b": 20.0})
    # trial 1 is the best on b only, trial 2 on a only
    numbers = [(0.5, 1.0, 2.0), (0.6, 9.0, 3.0), (0.7, 4.0, 12.0)]
    for index, (accuracy, a, b) in enumerate(numbers):
        metrics = {"latency@a": Metric(a, "ms", "table"), "latency@b": Metric(b, "ms", "table")}
        metrics["accuracy"] = Metric(accuracy, "fraction", "measured")
        storage.add_trials(row.id, [TrialRecord(f"{index:016x}", {"d": index}, 0, "complete", metrics)])
    found = by_device(read_snapshot(storage, "two"))
    assert found is not None
    a, b = found.outlines
    assert (a.study, b.study) == ("a", "b")
    np.testing.assert_allclose(a.values, [[0.5, 1.0], [0.7, 4.0]])
    np.testing.assert_allclose(b.values, [[0.5, 2.0], [0.6, 3.0], [0.7, 12.0]])
    # against accuracy 0 and 20 ms: 0.5·3 + 0.7·16, and 0.5·1 + 0.6·9 + 0.7·8
    assert a.hypervolume == pytest.approx(0.5 * 3 + 0.7 * 16)
    assert b.hypervolume == pytest.approx(0.5 * 1 + 0.6 * 9 + 0.7 * 8)
    figure = draw_overlay(found)
    assert [trace.name for trace in figure.data] == ["a", "b"]
    assert list(figure.data[0].x) == [1.0, 4.0]


def test_one_device_is_not_compared_with_itself(small: Snapshot) -> None:
    assert by_device(small) is None


ORDER = ["a", "b", "c"]


@pytest.mark.parametrize(
    ("change", "order", "ranges"),
    [
        ({"dimensions[1].constraintrange": [[1, 2]]}, ORDER, {"a": [(0, 1)], "b": [(1, 2)]}),
        ({"dimensions[1].constraintrange": [1, 2]}, ORDER, {"a": [(0, 1)], "b": [(1, 2)]}),
        (
            {"dimensions[2].constraintrange": [[[1, 2], [3, 4]]]},
            ORDER,
            {"a": [(0, 1)], "c": [(1, 2), (3, 4)]},
        ),
        ({"dimensions[0].constraintrange": [None]}, ORDER, {}),
        ({"dimensions[0].constraintrange": None}, ORDER, {}),
        ({"dimensions[9].constraintrange": [[1, 2]]}, ORDER, {"a": [(0, 1)]}),
        ({"line.color": ["red"]}, ORDER, {"a": [(0, 1)]}),
        (
            {"dimensions": [[{"name": "c"}, {"name": "a", "constraintrange": [0, 1]}, {"name": "b"}]]},
            ["c", "a", "b"],
            {"a": [(0, 1)]},
        ),
    ],
)
def test_what_the_figure_reports(change: Any, order: list[str], ranges: Any) -> None:
    assert brushed(ORDER, {"a": [(0, 1)]}, change) == (order, ranges)


def test_drawing_keeps_the_brushes(small: Snapshot) -> None:
    data = parallel_data(small, ["latency", "arch.T1.depth"])
    figure = draw_parallel(data, {"arch.T1.depth": [(0.75, 1.25)], "latency": [(1, 2), (3, 4)]})
    latency, depth = figure.data[0].dimensions
    assert tuple(depth.constraintrange) == (0.75, 1.25)
    assert [list(pair) for pair in latency.constraintrange] == [[1, 2], [3, 4]]
    assert depth.name == "arch.T1.depth"
    assert tuple(depth.ticktext) == ("1", "2", "10")
    assert list(figure.data[0].line.color) == [1, 2, 3, 4, 9]
