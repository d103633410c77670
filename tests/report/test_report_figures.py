"""Data of the other figures, against plain recomputations."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from report_small import snapshot_of, study, trial

from nas.report import style
from nas.report.breakdown import MOST, breakdown_data, draw_breakdown
from nas.report.conflict import binned, conflict_data, draw_conflict
from nas.report.decisions import decision_data, draw_decisions
from nas.report.hypervolume import draw_hypervolume, hypervolume_data
from nas.report.predictor import draw_error, draw_predictor, predictor_data
from nas.report.snapshot import Snapshot, read_snapshot
from nas.report.training import draw_loss, draw_rate, smoothed, training_data
from nas.store import SeriesPoint


def with_series(name: str, points: dict[int, dict[str, object]], **facts: object) -> Snapshot:
    storage, study_id = study([trial(0, 0.5, 5.0)], facts=facts)
    storage.add_series(study_id, [SeriesPoint(name, step, data) for step, data in points.items()])
    return read_snapshot(storage, "small")


def test_hypervolume_is_the_area_under_the_front() -> None:
    storage, study_id = study([trial(0, 0.7, 5.0)])
    storage.set_reference_point(study_id, {"accuracy": 0.0, "latency": 20.0})
    storage.record_front(study_id, 0, wall_s=30.0)
    storage.add_trials(study_id, [trial(1, 0.8, 10.0, generation=1), trial(2, 0.6, 12.0, generation=1)])
    storage.record_front(study_id, 1, wall_s=300.0)
    data = hypervolume_data(read_snapshot(storage, "small"))
    np.testing.assert_allclose(data.values, [0.7 * 15, 0.7 * 15 + 0.1 * 10])
    assert data.evaluations.tolist() == [1, 3]
    assert data.front_sizes.tolist() == [1, 2]
    assert (data.reference, data.unit) == ("accuracy 0 %, latency 20 ms", "fraction × ms")
    timed = draw_hypervolume(data, "time")
    np.testing.assert_allclose(timed.data[0].x, [0.5, 5.0])
    assert timed.layout.xaxis.title.text == "Wall time (min)"
    assert list(draw_hypervolume(data).data[0].x) == [1, 3]


def test_generations_without_a_reference_point_have_no_volume() -> None:
    storage, study_id = study([trial(0, 0.7, 5.0)])
    storage.record_front(study_id, 0)
    assert not len(hypervolume_data(read_snapshot(storage, "small")).values)


def test_decisions_are_shares_of_the_front() -> None:
    archs = [{"depth": 1, "kernel": 3}, {"depth": 2, "kernel": 3}, {"depth": 2}, {"depth": 9, "kernel": 5}]
    values = [(0.5, 1.0), (0.6, 2.0), (0.7, 3.0), (0.1, 9.0)]
    rows = [trial(index, *pair, arch=arch) for index, (pair, arch) in enumerate(zip(values, archs))]
    space = {"depth": {"1": 0.5, "2": 0.25, "9": 0.25}, "kernel": {"3": 0.5, "5": 0.5}, "unused": {"a": 1.0}}
    data = decision_data(snapshot_of(rows, facts={"space_distribution": space}))
    depth, kernel = data.shown
    assert (data.n, data.against, data.left_out) == (3, "the whole space", 0)
    assert depth.values == ["1", "2", "9"]
    np.testing.assert_allclose(depth.front, [1 / 3, 2 / 3, 0])
    assert depth.distance == pytest.approx((abs(1 / 3 - 1 / 2) + abs(2 / 3 - 1 / 4) + 1 / 4) / 2)
    np.testing.assert_allclose(kernel.front, [1, 0])  # of the two members that have it
    assert kernel.distance == pytest.approx(0.5)


def test_decisions_are_compared_with_the_trials_where_the_space_is_unknown() -> None:
    rows = [trial(0, 0.5, 1.0, arch={"depth": 10}), trial(1, 0.1, 9.0, arch={"depth": 2, "other": "x"})]
    data = decision_data(snapshot_of(rows))
    assert data.against == "all trials of this study"
    assert data.shown[0].values == ["2", "10"]
    np.testing.assert_allclose(data.shown[0].whole, [0.5, 0.5])
    np.testing.assert_allclose(data.shown[0].front, [0, 1])


def test_of_many_decisions_the_most_different_are_drawn() -> None:
    space = {f"d{index}": {"0": 1 - index / 100, "1": index / 100} for index in range(60)}
    arch = dict.fromkeys(space, 0)
    data = decision_data(snapshot_of([trial(0, 0.5, 1.0, arch=arch)], facts={"space_distribution": space}))
    assert data.left_out == 20
    assert [one.name for one in data.shown] == [f"d{index}" for index in range(20, 60)]


@pytest.mark.parametrize("narrow", [False, True])
def test_small_multiples_do_not_overlap(snapshot: Snapshot, narrow: bool) -> None:
    figure = draw_decisions(decision_data(snapshot), narrow=narrow)
    layout = figure.layout.to_plotly_json()
    boxes = [
        (*layout[f"xaxis{suffix}"]["domain"], *layout[f"yaxis{suffix}"]["domain"])
        for suffix in ["", *map(str, range(2, len(figure.data) // 2 + 1))]
    ]
    assert len(boxes) == 28
    for a, b in combinations(boxes, 2):
        assert a[1] <= b[0] or b[1] <= a[0] or a[3] <= b[2] or b[3] <= a[2]
    assert all(0 <= low < high <= 1 for box in boxes for low, high in (box[:2], box[2:]))


def test_breakdown_is_sorted_and_complete() -> None:
    times = {
        f"{0:016x}": {"stem": 1.0, "head": 2.0},
        "S1": {"stem": 0.5, "T1": 0.25, "head": 0.75},
        f"{1:016x}": {"stem": 4.0, "head": 1.0},
    }
    rows = [trial(0, 0.5, 3.0), trial(1, 0.6, 5.0)]
    (data,) = breakdown_data(snapshot_of(rows, facts={"breakdown": {"pixel6": times}}))
    assert data.names == ["S1", "trial 0", "trial 1"]
    assert data.preset == [True, False, False]
    assert data.stages == ["stem", "T1", "head"]
    np.testing.assert_allclose(data.times, [[0.5, 0.25, 0.75], [1, 0, 2], [4, 0, 1]])
    figure = draw_breakdown(data)
    np.testing.assert_allclose([trace.x for trace in figure.data], data.times.T)


def test_breakdown_of_a_large_front_keeps_its_ends() -> None:
    rows = [trial(index, 0.3 + index / 100, 1.0 + index) for index in range(MOST + 10)]
    times = {f"{index:016x}": {"all": 1.0 + index} for index in range(MOST + 10)}
    (data,) = breakdown_data(snapshot_of(rows, facts={"breakdown": {"p": times}}))
    assert (len(data.names), data.left_out) == (MOST, 10)
    assert (data.names[0], data.names[-1]) == ("trial 0", f"trial {MOST + 9}")


def test_predictor_error_and_rank_correlation(snapshot: Snapshot) -> None:
    data = predictor_data(snapshot)
    pairs = [(row["predicted"], row["evaluated"]) for _, row in snapshot.series["predictor"]]
    assert len(data.trials) == len(pairs) == 180
    assert data.error == pytest.approx(sum(abs(p - e) for p, e in pairs) / len(pairs))
    assert data.bias == pytest.approx(sum(p - e for p, e in pairs) / len(pairs))
    assert data.kendall == pytest.approx(kendall_tau_b(pairs))
    assert list(draw_predictor(data).data[1].x) == [100 * p for p, _ in pairs]
    np.testing.assert_allclose(draw_error(data).data[0].y, [100 * (p - e) for p, e in pairs])


def kendall_tau_b(pairs: list[tuple[float, float]]) -> float:
    agree, ties_a, ties_b, n = 0, 0, 0, 0
    for (a, b), (c, d) in combinations(pairs, 2):
        n += 1
        agree += int(np.sign(a - c) * np.sign(b - d))
        ties_a += a == c
        ties_b += b == d
    return agree / math.sqrt((n - ties_a) * (n - ties_b))


def test_predictions_without_a_number_are_left_out() -> None:
    points = {3: {"predicted": 0.5, "evaluated": 0.6}, 4: {"predicted": None, "evaluated": 0.7}, 5: {}}
    data = predictor_data(with_series("predictor", points))
    assert data.trials.tolist() == [3]
    assert data.error == pytest.approx(0.1)
    assert math.isnan(data.kendall)


def test_losses_by_level_without_minimum_and_skipped_steps() -> None:
    def step(level: float | None, losses: list[float], skipped: bool = False) -> dict[str, object]:
        roles = ["explored", "exploited", "minimum"]
        return {
            "level": level,
            "losses": losses,
            "roles": roles,
            "lr": 0.1,
            "skipped": skipped,
            "wall_s": 2.0,
        }

    points = {
        0: step(2e8, [1.0, 2.0, 9.0]),
        1: step(1e8, [3.0, 5.0, 8.0]),
        2: step(2e8, [float("nan"), float("nan"), 1.0], skipped=True),
        3: step(2e8, [0.5, 0.5, 7.0]),
    }
    data = training_data(with_series("train", points))
    assert [line.level for line in data.lines] == [1e8, 2e8]
    assert data.lines[0].loss.tolist() == [4.0]
    assert data.lines[1].steps.tolist() == [0, 3]
    assert data.lines[1].loss.tolist() == [1.5, 0.5]
    assert data.minimum is not None
    assert data.minimum.loss.tolist() == [9.0, 8.0, 7.0]
    assert data.skipped == 1
    assert data.steps.tolist() == [0, 1, 2, 3]
    assert data.wall_s == 2.0


def test_a_sampler_without_levels_has_one_line() -> None:
    points = {step: {"loss": 2.0 - step, "level": None} for step in range(3)}
    data = training_data(with_series("train", points))
    assert [line.level for line in data.lines] == [None]
    assert data.lines[0].loss.tolist() == [2.0, 1.0, 0.0]
    assert draw_loss(data).data[0].name == "all subnets"
    assert not len(data.rates)


def test_smoothing_is_a_weighted_mean() -> None:
    values = np.array([3.0, 1.0, 4.0, 1.0, 5.0])
    weights = np.exp(-np.arange(5) / 2.0)
    expected = [np.average(values[: n + 1][::-1], weights=weights[: n + 1]) for n in range(5)]
    np.testing.assert_allclose(smoothed(values, 2.0), expected)
    np.testing.assert_allclose(smoothed(np.full(9, 2.5), 3.0), 2.5)


def test_drawn_losses_are_the_smoothed_ones(snapshot: Snapshot) -> None:
    data = training_data(snapshot)
    figure = draw_loss(data)
    assert [trace.name for trace in figure.data][:2] == ["100 M", "200 M"]
    np.testing.assert_allclose(figure.data[0].y, data.lines[0].smooth)
    assert list(draw_rate(data).data[0].y) == data.rates.tolist()


def test_conflict_against_difference_in_macs(snapshot: Snapshot) -> None:
    data = conflict_data(snapshot)
    rows = [row for _, row in snapshot.series["conflict"]]
    np.testing.assert_allclose(data.difference, [abs(row["macs_a"] - row["macs_b"]) for row in rows])
    assert data.opposed == pytest.approx(sum(row["cosine"] < 0 for row in rows) / len(rows))
    ranks = [np.argsort(np.argsort(values)) for values in (data.difference, data.cosine)]
    assert data.spearman == pytest.approx(np.corrcoef(*ranks)[0, 1])
    figure = draw_conflict(data)
    np.testing.assert_allclose(figure.data[0].x, data.difference / 1e6)
    assert list(figure.data[0].marker.color) == [step for step, _ in snapshot.series["conflict"]]


def test_means_of_neighbouring_pairs() -> None:
    x = np.array([5.0, 1.0, 4.0, 2.0, 3.0, 10.0, 6.0, 9.0, 7.0, 8.0])
    centres, means = binned(x, 2 * x)
    assert centres.tolist() == [3.0, 8.0]
    assert means.tolist() == [6.0, 16.0]
    assert not len(binned(x[:9], x[:9])[0])


def test_every_colour_has_a_dark_partner(snapshot: Snapshot) -> None:
    figure = draw_conflict(conflict_data(snapshot)).to_plotly_json()
    used = {colour for colour in _colours(figure) if not colour.startswith("rgba(0,0,0,0")}
    assert used <= set(style.DARK)
    assert used


def _colours(data: object, within: bool = False) -> list[str]:
    if isinstance(data, dict):
        return [one for key, value in data.items() for one in _colours(value, within or "color" in key)]
    if isinstance(data, (list, tuple)):
        return [one for value in data for one in _colours(value, within)]
    return [data] if within and isinstance(data, str) and data.startswith(("#", "rgb")) else []


def test_ordered_colours_are_distinct() -> None:
    assert len(set(style.ordered(9))) == 9
    assert len(style.ordered(40)) == 40
    assert len(style.ordered(1)) == 1
    assert len(set(style.DARK.values())) == len(style.DARK)
