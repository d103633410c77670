"""Profiling as a whole: on this machine under ONNX Runtime, and on a stand-in whose law is known."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from profiling_samples import FakeTarget, tiny_space

from nas.blocks.counting import macs
from nas.blocks.registry import UNITS as KINDS
from nas.errors import NasError
from nas.latency.device import load_device
from nas.latency.profiling.exports import Exported, Exports, Wanted
from nas.latency.profiling.folder import DeviceFolder, Identity
from nas.latency.profiling.modules import unit_sizes
from nas.latency.profiling.profiler import Limits, Profiler
from nas.latency.profiling.runtimes.base import runtime_of
from nas.latency.profiling.session import Request, profile, target_of
from nas.latency.profiling.targets.base import Burst
from nas.latency.profiling.timing import COMPANIONS, SENTINEL
from nas.latency.profiling.use import space_use
from nas.latency.signature import format_signature
from nas.pipeline.progress import Silent
from nas.space import load_space
from nas.space.batch import Arch

IDENTITY = Identity("a board", "onnxruntime", "1", 1)


class NoExports(Exports):
    """Model files that nobody reads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[str] = []

    def get(self, wanted: Any) -> tuple[list[Exported], dict[str, str]]:
        self.asked += [one.name for one in wanted]
        files = [self.folder / f"{hashlib.sha256(one.name.encode()).hexdigest()[:8]}.onnx" for one in wanted]
        found = [Exported(one.name, file, (1,), not one.keep) for one, file in zip(wanted, files)]
        return found, {}


def _law(name: str) -> float:
    """ms of a unit: a launch and its work; of a network (a space's name and an id): anything."""
    if "=" not in name:
        return 1.0 + int(name.split()[1][:2], 16) / 256
    kind, sizes = unit_sizes(name)
    return 0.01 + macs(KINDS[kind], sizes) / 1e7


def _profiler(folder: Path, path: Path, target: FakeTarget, limits: Limits, **more: Any) -> Profiler:
    space = load_space(path)
    device = DeviceFolder(folder, "board", IDENTITY, "2026-01-01")
    exports = NoExports(folder)
    return Profiler(space, str(path), space_use(space), target, exports, device, limits, Silent(), **more)


def test_a_known_law_is_found_from_part_of_the_units(tmp_path: Path) -> None:
    path = tiny_space(tmp_path)
    target = FakeTarget(_law)
    profiler = _profiler(tmp_path / "board", path, target, Limits(units=60, networks=0, error=0.02))
    predictor = profiler.run()
    assert predictor is not None
    device = load_device(tmp_path / "board")
    assert device.table is not None and len(device.table) <= 60
    assert device.file.threads == 1 and device.file.runtime.name == "onnxruntime"
    for (kind, row), entry in device.table.items():
        assert entry.median_ms == pytest.approx(_law(format_signature(kind, row)), abs=1e-6)
    space = load_space(path)
    arch = space.sample(1, seed=11)[0]
    slots = [(s.kind, s.sizes) for s in space.lower(arch) if s.active]
    units = [format_signature(k, [int(v) for v in z.values()]) for k, z in slots]  # type: ignore[call-overload]
    predicted = float(device.latency(space, space.batch([arch]))[0])
    assert predicted == pytest.approx(sum(map(_law, units)), rel=0.1)


def test_going_on_times_nothing_twice(tmp_path: Path) -> None:
    path = tiny_space(tmp_path)
    first, second = FakeTarget(_law), FakeTarget(_law)
    _profiler(tmp_path / "board", path, first, Limits(units=24, networks=4, error=0.0)).run()
    before = (tmp_path / "board/table.csv").read_text().splitlines()
    _profiler(tmp_path / "board", path, second, Limits(units=36, networks=6, error=0.0)).run()
    after = (tmp_path / "board/table.csv").read_text().splitlines()
    assert len(before) == 25 and len(after) == 37 and set(before) < set(after)
    timed = [set(target.timed) - {SENTINEL} for target in (first, second)]
    assert not timed[0] & timed[1]
    assert len(load_device(tmp_path / "board").networks) == 6


def test_the_same_limits_again_change_nothing(tmp_path: Path) -> None:
    path = tiny_space(tmp_path)
    limits = Limits(units=20, networks=3, error=0.0)
    _profiler(tmp_path / "board", path, FakeTarget(_law), limits).run()
    tables = [(tmp_path / "board" / name).read_bytes() for name in ("table.csv", "networks.csv")]
    _profiler(tmp_path / "board", path, FakeTarget(_law), limits).run()
    assert tables == [(tmp_path / "board" / name).read_bytes() for name in ("table.csv", "networks.csv")]


def test_stopping_keeps_whole_batches(tmp_path: Path) -> None:
    path = tiny_space(tmp_path)
    asked = iter([False, True])
    profiler = _profiler(
        tmp_path / "board", path, FakeTarget(_law), Limits(networks=2), stop=lambda: next(asked, True)
    )
    assert profiler.run() is None
    device = load_device(tmp_path / "board")  # valid, without a predictor
    assert device.table is not None and len(device.table) == 12 and device.predictor is None


def test_a_target_that_goes_away_loses_nothing(tmp_path: Path) -> None:
    path = tiny_space(tmp_path)
    target = FakeTarget(_law)
    original = target.time

    def time_until(model: Exported, burst: Burst) -> list[float]:
        if target.now > 120:
            raise NasError("ssh to board ended with status 255.")
        return original(model, burst)

    target.time = time_until  # type: ignore[method-assign]
    with pytest.raises(NasError, match="ended with status 255"):
        _profiler(tmp_path / "board", path, target, Limits(networks=0)).run()
    kept = load_device(tmp_path / "board").table
    assert kept is not None and len(kept) >= 12
    _profiler(tmp_path / "board", path, FakeTarget(_law), Limits(units=24, networks=0, error=0.0)).run()
    whole = load_device(tmp_path / "board").table
    assert whole is not None and all(whole[key] == entry for key, entry in kept.items())


def test_nothing_can_be_timed_is_an_error(tmp_path: Path) -> None:
    profiler = _profiler(tmp_path / "board", tiny_space(tmp_path), FakeTarget(_law), Limits(networks=0))
    exports = profiler.exports.get

    def broken(wanted: Any) -> tuple[list[Exported], dict[str, str]]:
        found, _ = exports(wanted)
        sentinel = [one for one in found if one.name in (SENTINEL, *COMPANIONS)]
        return sentinel, {
            one.name: "Unsupported operator" for one in wanted if one.name not in {s.name for s in sentinel}
        }

    profiler.exports.get = broken  # type: ignore[method-assign]
    with pytest.raises(NasError, match="Unsupported operator"):
        profiler.run()


def test_a_budget_ends_it_before_all_units_are_timed(tmp_path: Path) -> None:
    slow, path = FakeTarget(_law), tiny_space(tmp_path)
    original = slow.time
    slow.time = lambda model, burst: (time.sleep(0.1), original(model, burst))[1]  # type: ignore[method-assign]
    profiler = _profiler(tmp_path / "board", path, slow, Limits(seconds=3.0, networks=0, error=0.0))
    profiler.run()
    every = sum(len(use.rows) for use in space_use(load_space(path)).values())
    assert 0.1 * every > 2 * 3.0, "the budget is far from enough for all"
    assert 0 < len(load_device(tmp_path / "board").table) < every
    assert (tmp_path / "board/predictor/report.json").exists()


@pytest.mark.parametrize(
    ("other", "difference"),
    [
        (Identity("a board", "onnxruntime", "1", 1, 8), "batch '1' there, '8' now"),
        (Identity("a board", "onnxruntime", "1", 4), "threads '1' there, '4' now"),
        (Identity("a board", "executorch", "1", 1), "runtime 'onnxruntime' there, 'executorch' now"),
        (Identity("a board", "onnxruntime", "2", 1), "version '1' there, '2' now"),
        (Identity("another", "onnxruntime", "1", 1), "hardware 'a board' there, 'another' now"),
    ],
)
def test_times_of_two_devices_are_not_mixed(tmp_path: Path, other: Identity, difference: str) -> None:
    _profiler(tmp_path / "board", tiny_space(tmp_path), FakeTarget(_law), Limits(units=12, networks=0)).run()
    with pytest.raises(NasError, match=difference):
        DeviceFolder(tmp_path / "board", "board", other, "2026-01-02")


def test_a_device_from_elsewhere_is_not_written_over(tmp_path: Path) -> None:
    shipped = load_device("pixel6").folder
    with pytest.raises(NasError, match="not made by profiling"):
        DeviceFolder(shipped, "pixel6", IDENTITY, "2026-01-01")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One folder of exports for all tests here."""
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    folder = tmp_path_factory.mktemp("cache")
    previous = os.environ.get("XDG_CACHE_HOME")
    os.environ["XDG_CACHE_HOME"] = str(folder)
    yield folder
    os.environ.pop("XDG_CACHE_HOME")
    if previous is not None:
        os.environ["XDG_CACHE_HOME"] = previous


def test_this_machine_under_onnxruntime(tmp_path: Path, cache: Path) -> None:
    space = tiny_space(tmp_path)
    limits = Limits(units=14, networks=2, error=0.0)
    request = Request("host", str(space), "onnxruntime", limits=limits, output=tmp_path / "host")
    device = profile(request, Silent())
    assert device is not None and device.table is not None and device.predictor is not None
    assert device.name == "host-onnxruntime" and len(device.table) == 14 and len(device.networks) == 2
    assert device.file.hardware != "unknown" and device.file.threads == 1
    for entry in dict(device.table.items()).values():
        assert entry.provenance == "measured" and entry.runs is not None and entry.runs >= 36
        assert 0 < entry.median_ms < 100
    archs, times = device.networks.of(load_space(space))
    assert all(isinstance(arch, Arch) for arch in archs) and (times.ms > 0).all()
    files = list(cache.rglob("*.onnx"))
    assert len(files) == 14 + 1 + len(COMPANIONS)  # units, sentinel, companions; networks are not kept
    again = profile(request, Silent())
    assert again is not None and again.table is not None
    assert dict(again.table.items()) == dict(device.table.items())


def test_killed_at_any_moment_it_goes_on(tmp_path: Path, cache: Path) -> None:
    space = tiny_space(tmp_path)
    command = [
        sys.executable,
        "-m",
        "nas",
        "device",
        "profile",
        "board",
        "--space",
        str(space),
        "--samples",
        "18",
    ]
    command += ["--output", str(tmp_path / "board"), "--target-error", "0%"]
    table = tmp_path / "board/table.csv"
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while not table.exists() and time.monotonic() < until and process.poll() is None:
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = table.read_text().splitlines()[1:]
    assert 0 < len(kept) <= 18
    done = subprocess.run([*command, "-q"], capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    assert "Wrote" in done.stdout
    whole = table.read_text().splitlines()[1:]
    assert set(kept) <= set(whole) and len(whole) == 18


def test_exports_are_cached_and_damage_is_repaired(tmp_path: Path, cache: Path) -> None:
    wanted = [Wanted.unit("to_map h=2 w=2 channels=4"), Wanted.unit("ffn h=2 w=2 nonsense=4")]
    with Exports(runtime_of("onnxruntime"), tmp_path, processes=1) as exports:
        found, failures = exports.get(wanted)
        assert [one.shape for one in found] == [(1, 4, 4)]
        assert list(failures) == [wanted[1].name] and "NasError" in failures[wanted[1].name]
        written = found[0].path.stat().st_mtime_ns
        exports.get(wanted[:1])
        assert found[0].path.stat().st_mtime_ns == written
        found[0].path.with_suffix(".shape").write_text("rubbish")
        assert exports.get(wanted[:1])[0][0].shape == (1, 4, 4)


def test_targets_are_named_in_full(tmp_path: Path) -> None:
    runtime = runtime_of("torch")
    with pytest.raises(NasError, match="a name of its own"):
        target_of(Request("host", "tiny", "torch", via="ssh://board"), runtime)
    with pytest.raises(NasError, match=r"ssh://user@host\[:port\] or adb"):
        target_of(Request("board", "tiny", "torch", via="telnet://board"), runtime)
    with pytest.raises(NasError, match="has no benchmark program"):
        target_of(Request("phone", "tiny", "torch", via="adb"), runtime)
