"""Sentinels against clocks whose speed the test sets."""

from __future__ import annotations

import numpy as np
import pytest
from profiling_samples import FakeTarget, exported

from nas.errors import NasError
from nas.latency.profiling.drift import WINDOW, Drift
from nas.latency.profiling.exports import Exported
from nas.latency.profiling.lines import AnswerError
from nas.latency.profiling.timing import Sample, Timing

MS = {"sentinel": 0.4, **{f"unit{i}": 0.1 * (i + 1) for i in range(12)}}
MODELS = [exported(f"unit{i}") for i in range(12)]


def _timing(target: FakeTarget, **options: object) -> Timing:
    return Timing(target, exported("sentinel"), **options)  # type: ignore[arg-type]


def test_slow_drift_is_taken_out() -> None:
    """A device that grows 20 % slower over the run; every time is given as at the beginning."""
    target = FakeTarget(MS.__getitem__, lambda now: 1 + 0.002 * min(now, 100))
    timing = _timing(target, baseline=0.4)
    for _ in range(3):
        samples, failures = timing.batch(MODELS)
        assert not failures
    assert target.now > 100
    for name, sample in samples.items():
        assert sample.entry("x").median_ms == pytest.approx(MS[name], rel=0.03)


def test_points_around_a_jump_are_timed_again() -> None:
    """The clock halves between two sentinels, once: what was timed in between is not believed."""
    jump = 60
    slow = FakeTarget(MS.__getitem__, lambda now: 1.4 if now >= jump else 1.0)
    still = FakeTarget(MS.__getitem__)
    warnings: list[str] = []
    for target in (still, slow):
        timing = _timing(target, baseline=0.4, warn=warnings.append)
        samples = [timing.batch(MODELS)[0], timing.batch(MODELS)[0]]
        for found in samples:
            for name, sample in found.items():
                np.testing.assert_allclose(sample.medians, MS[name], rtol=1e-6)
    assert not warnings
    assert slow.now - still.now == 5  # one group of four and its sentinel


def test_a_device_that_never_settles_is_said_so() -> None:
    target = FakeTarget(MS.__getitem__, lambda now: 1.0 if now % 2 else 1.3)
    warnings: list[str] = []
    samples, _ = _timing(target, baseline=0.4, warn=warnings.append).batch(MODELS[:2])
    assert set(samples) == {"unit0", "unit1"}
    assert warnings and "jumps by more than 10 %" in warnings[0] and "unit0" in warnings[0]


def test_throttling_stops_with_advice() -> None:
    target = FakeTarget(MS.__getitem__, lambda now: 1.0 if now < 30 else 1.7)
    slept: list[float] = []
    timing = _timing(target, baseline=0.4, sleep=slept.append)
    with pytest.raises(NasError, match=r"1\.7 times as long.*same command again"):
        for _ in range(5):
            timing.batch(MODELS)
    assert 60 <= sum(slept) <= 300


def test_a_device_that_cools_down_goes_on() -> None:
    """Hot from the 30th burst on; cool again once it was left alone for half a minute."""
    slept: list[float] = []
    target = FakeTarget(MS.__getitem__, lambda now: 1.7 if now >= 30 and sum(slept) < 30 else 1.0)
    warnings: list[str] = []
    timing = _timing(target, baseline=0.4, sleep=slept.append, warn=warnings.append)
    for _ in range(4):
        samples, _ = timing.batch(MODELS)
    assert "1.7 times as slow" in warnings[0] and 30 <= sum(slept) <= 60
    for name, sample in samples.items():
        assert sample.entry("x").median_ms == pytest.approx(MS[name])


def test_the_baseline_is_measured_when_there_is_none() -> None:
    timing = _timing(FakeTarget(MS.__getitem__, lambda now: 2.0))
    assert timing.drift.baseline == pytest.approx(0.8)
    assert timing.drift.factor == 1.0


def test_a_later_session_is_brought_to_the_first_ones_speed() -> None:
    """The machine is 25 % slower today; tables of both days agree."""
    target = FakeTarget(MS.__getitem__, lambda now: 1.25)
    samples, _ = _timing(target, baseline=0.4).batch(MODELS[:3])
    assert samples["unit2"].entry("x").median_ms == pytest.approx(MS["unit2"])


def test_bursts_that_disagree_are_repeated() -> None:
    spoiled = FakeTarget(MS.__getitem__)
    original = spoiled.time
    seen: list[str] = []

    def time(model: Exported, burst: object) -> list[float]:
        seen.append(model.name)
        first = model.name == "unit3" and seen.count("unit3") == 1
        return [(1.5 if first else 1.0) * ms for ms in original(model, burst)]  # type: ignore[arg-type]

    spoiled.time = time  # type: ignore[method-assign]
    samples, _ = _timing(spoiled, baseline=0.4).batch(MODELS[:4])
    assert len(samples["unit3"].bursts) == 5 and len(samples["unit0"].bursts) == 3
    assert samples["unit3"].entry("x").median_ms == pytest.approx(MS["unit3"])


def test_a_model_that_cannot_run_spoils_no_other() -> None:
    target = FakeTarget(MS.__getitem__)
    load = target.load

    def refuse(model: Exported) -> None:
        if model.name == "unit1":
            raise AnswerError("unknown operator")
        load(model)

    target.load = refuse  # type: ignore[method-assign]
    samples, failures = _timing(target, baseline=0.4).batch(MODELS[:3])
    assert set(samples) == {"unit0", "unit2"} and failures == {"unit1": "unknown operator"}
    assert target.loaded == {"sentinel"}


def test_an_entry_states_median_spread_and_runs() -> None:
    bursts = tuple(tuple(1.0 + 0.01 * i for i in range(101)) for _ in range(3))
    entry = Sample(bursts).entry("host 2026-01-01")
    assert entry.median_ms == pytest.approx(1.5)
    assert entry.spread_ms == pytest.approx(0.45)  # half of what holds the middle 90 % of an even spread of 1
    assert (entry.runs, entry.provenance, entry.source) == (303, "measured", "host 2026-01-01")


def test_a_jump_forgets_older_sentinels() -> None:
    drift = Drift(1.0)
    for _ in range(WINDOW):
        assert drift.steady(1.0)
    assert not drift.steady(1.3)
    assert drift.factor == pytest.approx(1 / 1.3)
