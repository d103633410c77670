"""Measured beside predicted latencies: which predictions held, to the number."""

from __future__ import annotations

import numpy as np
import pytest
from report_small import study, trial

from nas.metrics import Metric
from nas.report.measured import draw_measured, measured_data
from nas.report.page import render
from nas.report.snapshot import Snapshot, read_snapshot
from nas.report.tables import front_table


@pytest.fixture
def timed() -> Snapshot:
    """Three front members predicted at 5, 10 and 20 ms ± 5 %; the first two were timed."""
    storage, study_id = study([trial(0, 0.7, 5.0), trial(1, 0.8, 10.0), trial(2, 0.85, 20.0)])
    found = {
        0: {"latency": Metric(5.2, "ms", "measured", 5.1, 5.3, "here")},
        1: {"latency": Metric(12.5, "ms", "measured", 12.4, 12.6, "here")},
    }
    storage.add_metrics(study_id, "measured", found)
    return read_snapshot(storage, "small")


def test_a_prediction_holds_where_its_interval_has_the_measured_time(timed: Snapshot) -> None:
    (data,) = measured_data(timed)
    assert data.name == "latency" and data.trials.tolist() == [0, 1]
    assert data.held.tolist() == [True, False]
    assert data.measured.tolist() == [5.2, 12.5]
    np.testing.assert_allclose([data.low, data.high], [[4.75, 9.5], [5.25, 10.5]])
    assert data.error == pytest.approx((0.2 / 5.2 + 2.5 / 12.5) / 2)


def test_both_are_drawn_with_their_intervals_and_misses_apart(timed: Snapshot) -> None:
    (data,) = measured_data(timed)
    line, held, missed = draw_measured(data).data
    assert (list(held.x), list(held.y)) == ([5.0], [5.2])
    assert (list(missed.x), list(missed.y)) == ([10.0], [12.5])
    assert held.marker.color != missed.marker.color
    np.testing.assert_allclose([held.error_x.array[0], missed.error_x.arrayminus[0]], [0.25, 0.5])
    assert list(line.x) == list(line.y)


def test_the_table_and_the_page_flag_the_miss(timed: Snapshot) -> None:
    table = front_table(timed)
    assert table.count("outside the predicted interval") == 1
    shown = render(timed)
    assert "1 of 2 measured latencies" in shown


def test_a_study_without_measurements_has_no_such_section() -> None:
    storage, _ = study([trial(0, 0.7, 5.0)])
    assert "Predicted and measured latency" not in render(read_snapshot(storage, "small"))


def test_another_device_is_compared_with_what_was_predicted_when_it_was_timed() -> None:
    storage, study_id = study([trial(0, 0.7, 5.0), trial(1, 0.8, 10.0)])
    predicted = {n: {"latency@board": Metric(8.0, "ms", "predicted", 7.5, 8.5, "board")} for n in (0, 1)}
    measured = {
        n: {"latency@board": Metric(v, "ms", "measured", v, v, "board")} for n, v in ((0, 8.2), (1, 10.0))
    }
    storage.add_metrics(study_id, "predicted", predicted)
    storage.add_metrics(study_id, "measured", measured)
    snapshot = read_snapshot(storage, "small")
    (data,) = measured_data(snapshot)
    assert data.name == "latency@board" and data.held.tolist() == [True, False]
    assert data.predicted.tolist() == [8.0, 8.0] and data.measured.tolist() == [8.2, 10.0]
    assert front_table(snapshot).count("outside the predicted interval") == 1
    assert "1 of 2 measured latencies" in render(snapshot)
