"""What the front figures show, to the number."""

from __future__ import annotations

import numpy as np
import pytest
from report_small import ACCURACY, LATENCY, SPLIT, snapshot_of, study, trial

from nas.metrics import Metric
from nas.report.candidates import of_front
from nas.report.front import SHOWN, Panel, View, pairs, panels, thinned
from nas.report.front_figure import axis_title, draw_view
from nas.report.labels import label_sides
from nas.report.snapshot import Snapshot, read_snapshot
from nas.store import Objective, Preset

TEST = "digits test split, inherited weights"


def numbers(points: object) -> list[int | None]:
    return [one.number for one in points.candidates]  # type: ignore[attr-defined]


def only(panel: Panel) -> View:
    assert len(panel.views) == 1
    return panel.views[0]


@pytest.fixture
def small() -> Snapshot:
    rows = [
        trial(0, 0.70, 5.0),
        trial(1, 0.80, 10.0),
        trial(2, 0.75, 12.0),
        trial(3, 0.90, 30.0, state="infeasible", violation=0.5),
        trial(4, None, 8.0, state="failed"),
        trial(5, 0.85, 20.0),
    ]
    bound = [{"text": "latency<=20ms", "metric": "latency", "bound": 20.0}]
    return snapshot_of(rows, facts={"marked": {"5": 1}}, constraints=bound)


def test_points_of_a_small_study(small: Snapshot) -> None:
    (panel,) = panels(small)
    view = only(panel)
    assert view.stage == "search"
    assert view.details == [SPLIT]
    assert (panel.x.title, panel.y.title) == ("Latency on pixel6", "Top-1 accuracy")
    assert numbers(view.front) == [0, 1, 5]
    assert view.front.x.tolist() == [5.0, 10.0, 20.0]
    np.testing.assert_allclose(view.front.y, [70.0, 80.0, 85.0])
    np.testing.assert_allclose(view.front.y_span, [[68, 72], [78, 82], [83, 87]])
    np.testing.assert_allclose(view.front.x_span[0], [4.75, 5.25])
    assert numbers(view.dominated) == [2]
    assert numbers(view.infeasible) == [3]
    assert panel.x.bounds == (20.0,)
    assert [one.cheaper for one in view.front.candidates] == [None, None, 1]


def test_the_line_is_what_the_front_reaches(small: Snapshot) -> None:
    xs, ys = only(panels(small)[0]).line
    assert xs.tolist() == [5.0, 10.0, 20.0]
    np.testing.assert_allclose(ys, [70.0, 80.0, 85.0])


def test_clouds_carry_arch_and_metrics(small: Snapshot) -> None:
    (dominated,) = only(panels(small)[0]).dominated.candidates
    assert dominated.arch == {"depth": 2}
    assert dominated.metrics["latency"] == Metric(12.0, "ms", "predicted", 0.95 * 12, 1.05 * 12)
    assert dominated.metrics["accuracy"].unit == "fraction"


def test_final_accuracies_stand_in_a_view_of_their_own() -> None:
    storage, study_id = study([trial(0, 0.70, 5.0), trial(1, 0.80, 10.0)])
    again = {0: {"accuracy": Metric(0.66, "fraction", "measured", 0.6, 0.7, TEST)}}
    storage.add_metrics(study_id, "final", again)
    costs = {"latency": Metric(7.0, "ms", "predicted", detail="pixel6")}
    presets = [
        Preset("S1", "s1", {}, {**costs, "accuracy": Metric(0.72, "fraction", "measured", detail=TEST)}),
        Preset("S2", "s2", {}, {**costs, "accuracy": Metric(0.74, "fraction", "measured", detail=SPLIT)}),
        Preset("outside", "s3", {}, costs),
    ]
    storage.set_presets(study_id, presets)
    (panel,) = panels(read_snapshot(storage, "small"))
    search, final = panel.views
    assert [one.name for one in search.presets.candidates] == ["S2"]
    np.testing.assert_allclose(search.front.y, [70, 80])
    assert final.details == [TEST]
    assert numbers(final.front) == [0]
    np.testing.assert_allclose(final.front.y, [66])
    assert final.front.x.tolist() == [5.0]
    assert [one.name for one in final.presets.candidates] == ["S1"]
    assert not len(final.dominated)


def test_provenances_are_never_mixed_silently() -> None:
    rows = [trial(0, 0.7, 5.0), trial(1, 0.8, 10.0, provenance="measured")]
    (panel,) = panels(snapshot_of(rows))
    assert panel.mixed
    assert axis_title(panel.x) == "Latency on pixel6 (ms, predicted or measured)"
    figure = draw_view(panel, panel.views[0])
    fronts = [trace for trace in figure.data if trace.name and trace.name.startswith("Pareto")]
    assert [trace.name for trace in fronts] == [
        "Pareto front (Latency on pixel6 predicted)",
        "Pareto front (Latency on pixel6 measured)",
    ]
    assert len({trace.marker.symbol for trace in fronts}) == 2


def test_marked_points_are_hollow(small: Snapshot) -> None:
    (panel,) = panels(small)
    traces = {trace.name: trace for trace in draw_view(panel, panel.views[0]).data if trace.name}
    hollow, full = traces["≈ a cheaper point"], traces["Pareto front"]
    assert list(hollow.x) == [20.0]
    assert list(full.x) == [5.0, 10.0]
    assert hollow.marker.color != full.marker.color
    assert "cheaper trial 1" in hollow.hovertext[0]
    np.testing.assert_allclose(full.error_y.array, [2, 2])
    np.testing.assert_allclose(full.error_x.arrayminus, [0.25, 0.5])


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["accuracy:max", "latency:min"], [("latency", "accuracy")]),
        (["latency:min", "accuracy:max"], [("latency", "accuracy")]),
        (
            ["accuracy:max", "latency:min", "params:min"],
            [("latency", "accuracy"), ("params", "accuracy"), ("params", "latency")],
        ),
        (
            ["accuracy:max", "latency@a:min", "latency@b:min"],
            [("latency@a", "accuracy"), ("latency@b", "accuracy")],
        ),
        (["latency@a:min", "latency@b:min"], [("latency@b", "latency@a")]),
        (["accuracy:max"], [("number", "accuracy")]),
    ],
)
def test_pairs_of_objectives(names: list[str], expected: list[tuple[str, str]]) -> None:
    objectives = [Objective(name.split(":")[0], name.split(":")[1]) for name in names]  # type: ignore[arg-type]
    assert [(x.name, y.name) for x, y in pairs(objectives)] == expected


def test_one_objective_shows_the_best_so_far() -> None:
    rows = [trial(index, accuracy, 1.0) for index, accuracy in enumerate([0.5, 0.4, 0.7, 0.6])]
    (panel,) = panels(snapshot_of(rows, objectives=[ACCURACY]))
    xs, ys = only(panel).line
    assert xs.tolist() == [0, 1, 2, 3]
    np.testing.assert_allclose(ys, [50, 50, 70, 70])
    assert numbers(only(panel).front) == [2]


def test_a_front_in_three_objectives_is_no_line_in_two() -> None:
    params = Objective("params", "min", "params")
    rows = [
        trial(0, 0.7, 5.0, params=Metric(2e6, "params", "counted")),
        trial(1, 0.6, 6.0, params=Metric(1e6, "params", "counted")),
    ]
    for panel in panels(snapshot_of(rows, objectives=[ACCURACY, LATENCY, params])):
        assert numbers(only(panel).front) == [0, 1]
        assert not len(only(panel).line[0])


@pytest.mark.parametrize("n", [0, 1, SHOWN, SHOWN + 1, 12_345])
def test_thinning_keeps_the_ends(n: int) -> None:
    rows = thinned(np.arange(n) * 2, SHOWN)
    assert len(rows) == min(n, SHOWN)
    assert sorted(set(rows)) == rows
    if n:
        assert (rows[0], rows[-1]) == (0, 2 * (n - 1))


def test_large_clouds_are_thinned_and_say_so() -> None:
    n = SHOWN + 300
    rows = [trial(index, 0.5 - index * 1e-5, 10.0 + index * 1e-3) for index in range(n)]
    view = only(panels(snapshot_of(rows))[0])
    assert view.dominated_total == n - 1
    assert len(view.dominated) == SHOWN


def test_the_axes_show_the_front_and_most_of_the_cloud(snapshot: Snapshot) -> None:
    (panel,) = panels(snapshot)
    search, _ = panel.views
    assert panel.x.span is not None
    assert panel.y.span is not None
    assert (search.front.x > panel.x.span[0]).all()
    assert (search.front.x < panel.x.span[1]).all()
    spans = search.front.y_span
    assert spans.min() > panel.y.span[0]
    assert spans.max() < panel.y.span[1]
    points = [*zip(search.dominated.x, search.dominated.y), *zip(search.infeasible.x, search.infeasible.y)]
    outside = sum(
        not (panel.x.span[0] <= x <= panel.x.span[1] and panel.y.span[0] <= y <= panel.y.span[1])
        for x, y in points
    )
    assert search.outside == outside
    assert outside <= 0.2 * len(points)


def test_the_whole_study_is_there(snapshot: Snapshot) -> None:
    (panel,) = panels(snapshot)
    search, final = panel.views
    assert len(search.front) + search.dominated_total + search.infeasible_total == len(snapshot.trials)
    assert len(final.front) == len(snapshot.front) == len(of_front(snapshot))
    assert len(final.presets) == 9
    for narrow in (False, True):
        names = [trace.name for trace in draw_view(panel, final, narrow=narrow).data]
        assert "Presets" in names


def test_names_keep_inside_and_clear_of_each_other() -> None:
    sides = label_sides(
        np.array([[0.5, 0.5], [0.5, 0.5], [0.01, 0.5], [0.99, 0.99]]), ["S1"] * 4, np.empty((0, 2))
    )
    assert sides[0] != sides[1]
    assert "left" not in sides[2]
    assert "right" not in sides[3]
    assert "top" not in sides[3]


def test_names_keep_clear_of_other_points() -> None:
    at = np.array([[0.5, 0.5]])
    assert label_sides(at, ["S1"], np.empty((0, 2))) == ["middle right"]
    assert label_sides(at, ["S1"], np.array([[0.53, 0.5]])) == ["middle left"]
