"""Phones over adb, against a stand-in for adb that keeps files in a folder and answers as the programs do."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from profiling_samples import exported

from nas.errors import NasError
from nas.latency.profiling.exports import Exported
from nas.latency.profiling.lines import AnswerError
from nas.latency.profiling.targets.adb import REMOTE, AdbTarget, ExecutorRunner, PerfTest
from nas.latency.profiling.targets.base import Burst

FAKE = """#!{python}
import os, re, subprocess, sys
from pathlib import Path
root = Path({root!r})
trouble = (root / "trouble").read_text() if (root / "trouble").exists() else ""
arguments = sys.argv[1:]
with (root / "calls").open("a") as log:
    log.write(" ".join(arguments) + "\\n")
if arguments[:1] == ["-s"]:
    if arguments[1] != "PHONE1":
        sys.exit(f"error: device '{{arguments[1]}}' not found")
    arguments = arguments[2:]
if trouble in ("unauthorized", "offline"):
    sys.exit(f"error: device {{trouble}}.")
if trouble == "none":
    sys.exit("error: no devices/emulators found")
word, *rest = arguments
if word == "get-state":
    print("device")
elif word == "push":
    if trouble == "full" and rest[0].endswith(".pte"):
        sys.exit(f"adb: error: failed to copy '{{rest[0]}}': remote write failed: No space left on device")
    (root / "fs" / rest[1].lstrip("/")).write_bytes(Path(rest[0]).read_bytes())
    print("1 file pushed")
elif word == "shell":
    command = rest[0].replace("/data/local/tmp", str(root / "fs/data/local/tmp"))
    environment = {{**os.environ, "PATH": f"{{root}}/phone:" + os.environ["PATH"]}}
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, env=environment)
    print(done.stdout, end="")
"""
GETPROP = """#!/bin/sh
case $1 in
ro.product.manufacturer) echo Google;; ro.product.model) echo "Pixel 6";; ro.soc.model) echo GS101;;
ro.product.cpu.abi) echo arm64-v8a;; ro.build.version.release) echo 14;; esac
"""
RUNNER = """#!/bin/sh
while [ $# -gt 0 ]; do case $1 in --model_path) model=$2;; --num_executions) n=$2;; esac; shift; done
[ -s "$model" ] || { echo "E 00:00:00.1 executorch:file_data_loader.cpp:1 Failed to open"; exit 1; }
grep -q broken "$model" && { echo "E 00:00:00.2 executorch:x.cpp:1 Missing operator: [0] aten::foo.out"; exit 1; }
i=1; while [ $i -le $n ]; do
echo "I 00:00:00.003 executorch:executor_runner.cpp:700 Iteration $i of $n: $i.250000 ms"; i=$((i+1)); done
echo "I 00:00:00.004 executorch:executor_runner.cpp:710 Model executed successfully $n time(s) in 9.0 ms."
"""
PERF = """#!/bin/sh
while [ $# -gt 2 ]; do case $1 in -r) n=$2;; esac; shift; done
echo "Average inference time cost total: 2.0 ms"
i=1; while [ $i -le $n ]; do echo "model,0.00$i,1000,100,$((i-1))" >> "$2"; i=$((i+1)); done
"""


@pytest.fixture
def phone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder of the stand-in: `fs` is the phone's file system, `trouble` names what is wrong."""
    for name in ("bin", "phone", "fs/data/local/tmp"):
        (tmp_path / name).mkdir(parents=True)
    _script(tmp_path / "bin/adb", FAKE.format(python=sys.executable, root=str(tmp_path)))
    _script(tmp_path / "phone/getprop", GETPROP)
    _script(tmp_path / "executor_runner", RUNNER)
    _script(tmp_path / "onnxruntime_perf_test", PERF)
    (tmp_path / "model.pte").write_text("a program")
    (tmp_path / "broken.pte").write_text("broken")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return tmp_path


def _script(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def _target(phone: Path, serial: str = "PHONE1") -> AdbTarget:
    return AdbTarget(serial, "executorch", "1.5.1", 1, phone / "executor_runner")


def _model(phone: Path, name: str = "model.pte") -> Exported:
    return Exported(name, phone / name, (1, 3, 8, 8))


def test_a_model_is_pushed_timed_and_removed(phone: Path) -> None:
    model = _model(phone)
    with _target(phone) as target:
        facts = target.facts()
        target.load(model)
        assert (phone / "fs" / REMOTE.lstrip("/") / "model.pte").exists()
        times = target.time(model, Burst(warmup=2, warmup_ms=0.0, runs=4, least_ms=0.0))
        target.drop(model)
        assert not (phone / "fs" / REMOTE.lstrip("/") / "model.pte").exists()
    assert (facts.hardware, facts.version) == ("Google Pixel 6, GS101, arm64-v8a", "1.5.1")
    assert times == [3.25, 4.25, 5.25, 6.25]  # the first two were the warm-up
    assert not (phone / "fs" / REMOTE.lstrip("/")).exists()
    assert all(line.startswith("-s PHONE1 ") for line in (phone / "calls").read_text().splitlines())


def test_perf_test_is_read_from_its_result_file(phone: Path) -> None:
    model = Exported("m", phone / "model.pte", (1, 3, 8, 8))
    with AdbTarget("", "onnxruntime", "1.31.1", 2, phone / "onnxruntime_perf_test") as target:
        target.facts()
        target.load(model)
        burst = Burst(warmup=1, warmup_ms=0.0, runs=3, least_ms=0.0)
        assert target.time(model, burst) == pytest.approx([2.0, 3.0, 4.0])
        assert target.time(model, burst) == pytest.approx([2.0, 3.0, 4.0])  # not appended to the last file


def test_a_model_the_phone_cannot_run_is_refused_alone(phone: Path) -> None:
    with _target(phone) as target:
        target.facts()
        with pytest.raises(AnswerError, match="Missing operator"):
            target.load(_model(phone, "broken.pte"))
        target.load(_model(phone))


@pytest.mark.parametrize(
    ("trouble", "advice"),
    [("unauthorized", "allow this computer"), ("offline", "adb reconnect"), ("none", "USB debugging")],
)
def test_a_phone_that_is_not_there_is_said_so(phone: Path, trouble: str, advice: str) -> None:
    (phone / "trouble").write_text(trouble)
    with _target(phone) as target, pytest.raises(NasError, match=advice):
        target.facts()


def test_a_full_phone_is_said_so_and_goes_on_later(phone: Path) -> None:
    with _target(phone) as target:
        target.facts()
        (phone / "trouble").write_text("full")
        with pytest.raises(NasError, match="storage is full") as caught:
            target.load(_model(phone))
        assert not isinstance(caught.value, AnswerError)  # the model is not to blame
        (phone / "trouble").unlink()
        target.load(_model(phone))


def test_a_wrong_serial_is_said_so(phone: Path) -> None:
    with _target(phone, "PHONE2") as target, pytest.raises(NasError, match="adb devices"):
        target.facts()


def test_without_adb_that_is_said(monkeypatch: pytest.MonkeyPatch, phone: Path) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with _target(phone) as target, pytest.raises(NasError, match="platform tools"):
        target.facts()


def test_the_program_must_be_given(phone: Path) -> None:
    with pytest.raises(NasError, match="--binary PATH; none is given"):
        AdbTarget("", "executorch", "1", 1, None)
    with pytest.raises(NasError, match="is not a file"):
        AdbTarget("", "executorch", "1", 1, phone / "nothing")
    with pytest.raises(NasError, match="'torch' has no benchmark program"):
        AdbTarget("", "torch", "1", 1, phone / "executor_runner")


def test_lines_are_read_as_the_programs_print_them() -> None:
    log = "I 00:00:00.001 executorch:executor_runner.cpp:12] Iteration 1 of 2: 0.412 ms\nIteration 2 of 2: 3 ms\n"
    assert ExecutorRunner.times(log) == [0.412, 3.0]
    assert PerfTest.times("m,0.00125,1024,99,0\nm,1.5e-3,1024,99,1\n\nMin Latency: 0.00125 s\n") == [
        1.25,
        1.5,
    ]
    assert exported("x").name == "x"
