"""Timing found architectures on the device they were searched for: this machine, under PyTorch."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import nas
from nas.errors import NasError
from nas.latency.device import load_device
from nas.latency.profiling.known_device import NetworkTiming, Reach, network_timing
from nas.latency.profiling.profiler import Limits
from nas.latency.profiling.session import Request, profile
from nas.pipeline.measuring import measure, measure_front
from nas.pipeline.progress import Silent
from nas.pipeline.run import planned
from nas.store import Storage

SPACE = Path(__file__).parent / "small.yaml"
ARGUMENTS = {
    "objectives": ["latency:min", "params:max"],
    "strategy": "random",
    "n_trials": 16,
    "study_name": "timed",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a device profiled here, and a study whose front was timed on it."""
    folder, before = tmp_path_factory.mktemp("measure"), Path.cwd()
    os.chdir(folder)
    try:
        limits = Limits(units=12, networks=1, error=0.5)
        profile(Request("host", str(SPACE), "torch", limits=limits), Silent())
        nas.run(SPACE, device="host-torch", measured=Reach(), **ARGUMENTS)
        yield folder
    finally:
        os.chdir(before)


@pytest.fixture(scope="module")
def timing(folder: Path) -> Iterator[NetworkTiming]:
    """The device, ready to time networks."""
    with network_timing(load_device("host-torch"), nas.load_space(SPACE), str(SPACE), Silent()) as timing:
        yield timing


def test_the_front_of_a_run_is_measured_beside_its_predictions(folder: Path) -> None:
    storage = Storage()
    front = storage.front(storage.study("timed").id)
    assert front
    for trial in front:
        measured, predicted = trial.at("measured")["latency"], trial.metrics["latency"]
        assert measured.provenance == "measured" and measured.unit == "ms"
        assert predicted.provenance != "measured"
        assert measured.low is not None and measured.low <= measured.value
        assert "host-torch: torch" in measured.detail and "1 thread" in measured.detail
        assert 0.1 < measured.value / predicted.value < 10


def test_larger_networks_measure_slower(timing: NetworkTiming) -> None:
    space = nas.load_space(SPACE)
    grown = dict(space.presets["least"].values) | {
        "resolution": 128,
        "T1.depth": 2,
        "T1.width": 48,
        "T1.mlp_ratio": 2,
    }
    archs = space.encode([space.presets["least"], grown | {"C1.depth": 2, "C1.width": 24, "C1.expansion": 3}])
    times = timing.times(list(archs))
    small, large = (times[arch_id].median_ms for arch_id in archs.ids)
    assert large > 1.5 * small


def test_a_turn_times_all_networks_before_the_next_begins(
    timing: NetworkTiming, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nas.latency.profiling.known_device._AT_ONCE", 2)
    archs = list(nas.load_space(SPACE).sample(3, seed=3))
    timed = [(turn, set(found)) for turn, found in timing.turns(archs, 2)]
    assert [(turn, len(found)) for turn, found in timed] == [(0, 2), (0, 1), (1, 2), (1, 1)]
    assert all(timed[at][1] | timed[at + 1][1] == {arch.id for arch in archs} for at in (0, 2))


def test_measuring_stopped_half_way_keeps_what_was_timed(timing: NetworkTiming) -> None:
    storage = Storage()
    study = storage.study("timed")
    trials = [trial for trial in storage.trials(study.id) if not trial.at("measured")]
    assert trials
    asked = iter((False, True))
    device, space = load_device("host-torch"), nas.load_space(SPACE)
    found = measure(storage, study, trials, device, space, timing, Silent(), lambda: next(asked))
    assert 0 < len(found) < len(trials)
    kept = {trial.number for trial in storage.trials(study.id) if trial.at("measured")}
    assert {one.number for one in found} <= kept


def test_a_device_that_was_not_searched_for_is_predicted_beside_its_measurement(
    timing: NetworkTiming,
) -> None:
    nas.run(SPACE, **{**ARGUMENTS, "objectives": ["macs:min"], "n_trials": 1, "study_name": "plain"})
    storage = Storage()
    study = storage.study("plain")
    device, space = load_device("host-torch"), nas.load_space(SPACE)
    (found,) = measure(storage, study, storage.trials(study.id), device, space, timing, Silent())
    (trial,) = storage.trials(study.id)
    assert trial.at("predicted") == {"latency@host-torch": found.predicted}
    assert trial.at("measured") == {"latency@host-torch": found.measured}


def test_the_command_prints_and_stores(folder: Path) -> None:
    command = [sys.executable, "-m", "nas", "measure", "timed/0", "--space", str(SPACE), "-f", "json", "-q"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    (told,) = json.loads(done.stdout)
    storage = Storage()
    (trial,) = [one for one in storage.trials(storage.study("timed").id) if one.number == 0]
    assert told["measured"]["value"] == trial.at("measured")["latency"].value
    low, high = told["predicted"]["interval"]
    assert told["inside"] == (low <= told["measured"]["value"] <= high)


def test_a_run_whose_device_goes_away_while_it_is_timed_is_stored_and_reported(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(self: NetworkTiming, archs: object, turns: int = 1) -> None:
        raise NasError("the device is gone.")

    monkeypatch.setattr(NetworkTiming, "times", gone)
    again = re.escape(f"nas measure --study cut --space {SPACE}")
    with pytest.raises(NasError, match=rf"gone\. The study is finished .* {again} times its front"):
        nas.run(SPACE, device="host-torch", measured=Reach(), **{**ARGUMENTS, "study_name": "cut"})
    assert nas.load_study("cut").row.state == "finished"
    assert (folder / "nas-runs" / "cut" / "report.html").exists()


def test_the_advice_how_to_time_a_front_keeps_all_that_the_run_was_given(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def unreachable(*_: object) -> Iterator[None]:
        raise NasError("the board is off.")
        yield

    monkeypatch.setattr("nas.pipeline.measuring.network_timing", unreachable)
    elsewhere = shutil.copytree(folder / "devices" / "host-torch", tmp_path / "my board")
    given, url = {**ARGUMENTS, "objectives": ["params:max"]}, f"sqlite:///{tmp_path / 'a.db'}"
    plan, source = planned(SPACE, device=load_device(elsewhere), storage=url, **given)
    nas.run(SPACE, storage=url, **given)
    for reach, how in (
        (Reach("ssh://me@board:22", python="/opt/my py"), "--via ssh://me@board:22 --python '/opt/my py'"),
        (Reach("adb:1", Path("bench mark")), "--via adb:1 --binary 'bench mark'"),
    ):
        with pytest.raises(NasError) as raised:
            measure_front(plan, source, reach, Storage(url), Silent(), lambda: False)
        expected = (
            f"nas measure --study timed --device '{elsewhere}' {how} --space {SPACE} --storage {url} times"
        )
        assert expected in str(raised.value)


def test_the_error_of_a_device_is_not_replaced_by_that_of_the_report(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(text: str) -> Callable[..., None]:
        def failing(*_: object) -> None:
            raise NasError(text)

        return failing

    monkeypatch.setattr(NetworkTiming, "times", fails("the device is gone."))
    monkeypatch.setattr("nas.report.write_report", fails("the disk is full."))
    with pytest.raises(NasError, match="the device is gone"):
        nas.run(SPACE, device="host-torch", measured=Reach(), **{**ARGUMENTS, "study_name": "full"})
    with pytest.raises(NasError, match="the disk is full"):
        nas.run(SPACE, device="host-torch", **{**ARGUMENTS, "study_name": "full-too"})


def test_a_published_table_cannot_be_timed_and_the_run_says_so_before_it_trains(folder: Path) -> None:
    with pytest.raises(NasError, match="nas device profile host"):
        nas.run("elasticvit", device="pixel6", measured=Reach())
    with pytest.raises(NasError, match="name the device"):
        nas.run(SPACE, measured=Reach(), **{**ARGUMENTS, "objectives": ["macs:min"], "study_name": "none"})


def test_another_machine_than_the_profiled_one_is_refused(folder: Path) -> None:
    path = folder / "devices" / "host-torch" / "device.yaml"
    before = path.read_text()
    path.write_text(before.replace("hardware: ", "hardware: another than "))
    try:
        with pytest.raises(NasError, match="was profiled on another than"):
            nas.run(SPACE, device="host-torch", measured=Reach(), **{**ARGUMENTS, "study_name": "else"})
    finally:
        path.write_text(before)
