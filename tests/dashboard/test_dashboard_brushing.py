"""Parallel coordinates and brushes, to the number."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from dashboard_small import ACCURACY, LATENCY, make, record
from hypothesis import given
from hypothesis import strategies as st

from nas.dashboard.axes import Axis
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
    assert accuracy.axis.ticks == ()
    assert depth.axis.ticks == ("1", "2", "10")
    assert depth.values.tolist() == [0, 2, 1, 1, 2]
    assert width.axis.ticks == ("–", "16", "32")
    assert width.values.tolist() == [1, 1, 0, 2, 2]
    assert kind.axis.ticks == ("attention", "conv")
    assert kind.values.tolist() == [1, 0, 0, 1, 1]


@pytest.mark.parametrize(
    ("ranges", "expected"),
    [
        ({"accuracy": [(0.55, 0.8)]}, {1, 2, 3}),
        ({"accuracy": [(0.5, 0.56), (0.85, 0.95)]}, {0, 2, 4}),
        ({"accuracy": [(0.55, 0.8)], "arch.kind": [(["conv", -0.25], ["conv", 0.25])]}, {3}),
        ({"arch.T1.width": [(["–", -0.25], ["–", 0.25])]}, {2}),
        ({"arch.T1.depth": [(["1", 0.5], ["10", 0.25])]}, {1, 2, 3, 4}),
        ({"latency": [(100, 200)]}, set()),
        ({"latency": [(100, 200)], "gone": [(0, 1)]}, set()),
        ({"gone": [(0, 1)]}, None),
        ({}, None),
    ],
)
def test_what_brushes_keep(small: Snapshot, ranges: Any, expected: set[int] | None) -> None:
    assert kept(small, ranges) == expected


def ends_of(snapshot: Snapshot, key: str, low: float, high: float, *beside: str) -> Any:
    """What a brush stands for that is drawn from one place to another, with other axes beside it."""
    [axis, *_] = [one.axis for one in parallel_data(snapshot, [key, *beside]).dimensions]
    _, ranges = brushed([key], {}, {"dimensions[0].constraintrange": [[low, high]]}, {key: axis})
    return json.loads(json.dumps(ranges))


def drawn_at(snapshot: Snapshot, key: str, ranges: Any) -> list[float]:
    [line] = draw_parallel(parallel_data(snapshot, [key]), ranges).data
    return list(line.dimensions[0].constraintrange)


def test_a_brush_stays_on_its_values_when_others_appear() -> None:
    storage = Storage("sqlite://")
    study = make(storage)
    storage.add_trials(study, [record(n, 0.5, 1.0, depth=depth) for n, depth in enumerate((4, 2, 6))])
    before = read_snapshot(storage, "small")
    ranges = ends_of(before, "arch.depth", 0.75, 2.25)
    assert kept(before, ranges) == {0, 2}
    storage.add_trials(study, [record(3 + n, 0.5, 1.0, depth=depth) for n, depth in enumerate((1, 5, 8))])
    now = read_snapshot(storage, "small")
    assert kept(now, ranges) == {0, 2, 4}
    assert drawn_at(now, "arch.depth", ranges) == [1.75, 4.25]
    storage.rollback_to(study, 0)
    storage.add_trials(study, [record(0, 0.5, 1.0, depth=5), record(1, 0.5, 1.0, depth=7)])
    assert kept(read_snapshot(storage, "small"), ranges) == {0}


def test_axes_have_the_values_of_the_space() -> None:
    storage = Storage("sqlite://")
    shares = {"depth": {"1": 0.5, "2": 0.5}, "ratio": {"1.0": 0.2, "1.5": 0.8}, "kind": {"b": 1.0, "a": 0.0}}
    study = make(storage, facts={"space_distribution": shares})
    storage.add_trials(
        study, [record(0, 0.5, 1.0, depth=2, ratio=1.0), record(1, 0.5, 1.0, depth=3, kind="c")]
    )
    axes = parallel_data(
        read_snapshot(storage, "small"), ["arch.depth", "arch.ratio", "arch.kind"]
    ).dimensions
    assert [one.axis.ticks for one in axes] == [("1", "2", "3"), ("–", "1", "1.5"), ("–", "a", "b", "c")]


def with_macs(storage: Storage, study: int, first: int, numbers: Sequence[float | None]) -> None:
    records = [record(first + index, 0.5, 1.0) for index in range(len(numbers))]
    more = [{} if n is None else {"macs": Metric(n, "MACs", "counted")} for n in numbers]
    storage.add_trials(study, [replace(a, metrics={**a.metrics, **b}) for a, b in zip(records, more)])


def test_a_brush_on_a_metric_means_the_same_when_its_scale_changes() -> None:
    storage = Storage("sqlite://")
    study = make(storage)
    with_macs(storage, study, 0, [2e5, 4e5, 6e5])
    before = read_snapshot(storage, "small")
    ranges = ends_of(before, "macs", 300, 600)  # in thousands
    assert kept(before, ranges) == {1, 2}
    with_macs(storage, study, 3, [5e5, 3e6, 4e6, 5e6, 6e6])
    now = read_snapshot(storage, "small")
    assert kept(now, ranges) == {1, 2, 3}
    np.testing.assert_allclose(drawn_at(now, "macs", ranges), [0.3, 0.6])  # in millions


def test_a_brush_means_the_same_where_a_metric_beside_it_is_missing() -> None:
    storage = Storage("sqlite://")
    study = make(storage)
    with_macs(storage, study, 0, [None, 2e6, 2e6, None, None])
    snapshot = read_snapshot(storage, "small")
    # the figure has trials 1 and 2 alone
    assert parallel_data(snapshot, ["arch.T1.depth", "macs"]).numbers.tolist() == [1, 2]
    ranges = ends_of(snapshot, "arch.T1.depth", 1.75, 2.25, "macs")
    assert kept(snapshot, ranges) == {2}
    with_macs(storage, study, 5, [3e3] * 9)
    snapshot = read_snapshot(storage, "small")
    assert kept(snapshot, ends_of(snapshot, "macs", 1.9e3, 2.1e3, "latency")) == {1, 2}


@given(st.lists(st.floats(1e-6, 1e12), min_size=1, max_size=20))
def test_a_brush_over_a_whole_axis_keeps_everything(numbers: list[float]) -> None:
    for factor in (100.0, 1.0, 1e-3, 1e-6, 1e-9):
        axis, shown = Axis(factor), np.array(numbers) * factor
        [(low, high)] = axis.within(axis.ends([(shown.min(), shown.max())]))
        assert ((shown >= low) & (shown <= high)).all()


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
AXES = {"a": Axis(), "b": Axis(0.1), "c": Axis(ticks=("x", "y"))}


@pytest.mark.parametrize(
    ("change", "order", "ranges"),
    [
        ({"dimensions[1].constraintrange": [[1, 2]]}, ORDER, {"a": [[0, 1]], "b": [[10, 20]]}),
        ({"dimensions[1].constraintrange": [1, 2]}, ORDER, {"a": [[0, 1]], "b": [[10, 20]]}),
        (
            {"dimensions[2].constraintrange": [[[-0.25, 0.25], [0.75, 1.25]]]},
            ORDER,
            {"a": [[0, 1]], "c": [[["x", -0.25], ["x", 0.25]], [["y", -0.25], ["y", 0.25]]]},
        ),
        ({"dimensions[0].constraintrange": [None]}, ORDER, {}),
        ({"dimensions[0].constraintrange": None}, ORDER, {}),
        ({"dimensions[9].constraintrange": [[1, 2]]}, ORDER, {"a": [[0, 1]]}),
        ({"line.color": ["red"]}, ORDER, {"a": [[0, 1]]}),
        (
            {"dimensions": [[{"name": "c"}, {"name": "a", "constraintrange": [0, 1]}, {"name": "b"}]]},
            ["c", "a", "b"],
            {"a": [[0, 1]]},
        ),
    ],
)
def test_what_the_figure_reports(change: Any, order: list[str], ranges: Any) -> None:
    assert brushed(ORDER, {"a": [[0, 1]]}, change, AXES) == (order, ranges)


def test_drawing_keeps_the_brushes(small: Snapshot) -> None:
    data = parallel_data(small, ["latency", "arch.T1.depth"])
    figure = draw_parallel(
        data, {"arch.T1.depth": [(["2", -0.25], ["2", 0.25])], "latency": [(1, 2), (3, 4)]}
    )
    latency, depth = figure.data[0].dimensions
    assert tuple(depth.constraintrange) == (0.75, 1.25)
    assert [list(pair) for pair in latency.constraintrange] == [[1, 2], [3, 4]]
    assert depth.name == "arch.T1.depth"
    assert tuple(depth.ticktext) == ("1", "2", "10")
    assert list(figure.data[0].line.color) == [1, 2, 3, 4, 9]
