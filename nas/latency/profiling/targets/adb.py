"""A phone over adb: model files are pushed and the runtime's own benchmark program runs them.

Only adb on this machine and that program, built for the phone, are needed; there is no Python on phones. No phone was
at hand when this was written: the protocol is tested against a stand-in for adb that prints what the programs'
sources say they print (executor_runner: `Iteration i of N: x ms`; onnxruntime_perf_test: a result file with one line
`model,seconds,…` per run).
"""

from __future__ import annotations

import math
import re
import shlex
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from nas.errors import NasError
from nas.latency.profiling.exports import Exported
from nas.latency.profiling.lines import AnswerError
from nas.latency.profiling.targets.base import Burst, Facts, Target

REMOTE = "/data/local/tmp/nas-profiling"
_SECONDS = 300.0
_END = "nas-exit-status="


class Program(ABC):
    """A runtime's benchmark program: its command, and how its output is read."""

    runtime: ClassVar[str]
    name: ClassVar[str]

    @classmethod
    @abstractmethod
    def command(cls, binary: str, model: str, runs: int, threads: int) -> str:
        """Shell command on the phone."""

    @classmethod
    @abstractmethod
    def times(cls, output: str) -> list[float]:
        """Times of single runs in ms, in order; empty if the output holds none."""


class ExecutorRunner(Program):
    """ExecuTorch's `executor_runner`; its inputs are ones."""

    runtime = "executorch"
    name = "executor_runner"

    @classmethod
    def command(cls, binary: str, model: str, runs: int, threads: int) -> str:
        return f"{binary} --model_path {model} --num_executions {runs} --cpu_threads {threads} --print_output none"

    @classmethod
    def times(cls, output: str) -> list[float]:
        return [float(ms) for ms in re.findall(r"Iteration \d+ of \d+: ([\d.]+) ms", output)]


class PerfTest(Program):
    """ONNX Runtime's `onnxruntime_perf_test`; its result file has seconds."""

    runtime = "onnxruntime"
    name = "onnxruntime_perf_test"

    @classmethod
    def command(cls, binary: str, model: str, runs: int, threads: int) -> str:
        result = f"{REMOTE}/result.csv"
        flags = f"-m times -r {runs} -I -x {threads} -y 1 -o 99 -e cpu"
        return f"rm -f {result}; {binary} {flags} {model} {result} && cat {result}"

    @classmethod
    def times(cls, output: str) -> list[float]:
        lines = re.findall(r"^[^,\n]*,([\d.eE+-]+),\d+,\d+,\d+\s*$", output, re.MULTILINE)
        return [1e3 * float(seconds) for seconds in lines]


PROGRAMS: dict[str, type[Program]] = {program.runtime: program for program in (ExecutorRunner, PerfTest)}


class AdbTarget(Target):
    """A phone: models pushed to `/data/local/tmp/nas-profiling`, which is removed at the end."""

    def __init__(self, serial: str, runtime: str, version: str, threads: int, binary: Path | None) -> None:
        """Choose a phone; nothing is sent yet.

        Args:
            serial: of the phone; empty if only one is connected.
            runtime, version: the models are made for; the program should be built from the same version.
            threads: of the runtime.
            binary: the benchmark program, built for the phone.

        Raises:
            NasError: the runtime has no such program, or the file is not there.
        """
        if runtime not in PROGRAMS:
            raise NasError(
                f"--via adb: {runtime!r} has no benchmark program for phones; {_known()} have one."
            )
        self._program, self._version, self._threads = PROGRAMS[runtime], version, threads
        if binary is None or not binary.is_file():
            given = f"{binary} is not a file" if binary else "none is given"
            raise NasError(
                f"--via adb: the program {self._program.name}, built for the phone, is needed as --binary PATH; "
                f"{given}."
            )
        self._binary, self._adb = binary, ["adb", *(["-s", serial] if serial else [])]
        self._per_run: dict[str, float] = {}

    def facts(self) -> Facts:
        self._run([*self._adb, "get-state"])
        self._shell(f"mkdir -p {REMOTE}")
        remote = self._push(self._binary, self._program.name)
        self._shell(f"chmod 755 {remote}")
        names = ["ro.product.manufacturer", "ro.product.model", "ro.soc.model", "ro.product.cpu.abi"]
        words = [self._shell(f"getprop {name}").strip() for name in names]
        release = self._shell("getprop ro.build.version.release").strip()
        hardware = ", ".join(word for word in (" ".join(words[:2]).strip(), *words[2:]) if word)
        return Facts(
            hardware or "unknown", self._version, f"Android {release}; timed by {self._program.name}"
        )

    def load(self, model: Exported) -> None:
        remote = self._push(model.path, _file(model))
        try:
            self._per_run[model.name] = max(self._times(remote, 2)[-1], 1e-3)
        except NasError as error:
            self._shell(f"rm -f {remote}")
            raise AnswerError(str(error)) from None

    def time(self, model: Exported, burst: Burst) -> list[float]:
        per_run = self._per_run[model.name]
        warmup = max(burst.warmup, math.ceil(burst.warmup_ms / per_run))
        runs = max(burst.runs, math.ceil(burst.least_ms / per_run))
        runs = max(3, min(runs, math.ceil(burst.most_ms / per_run)))
        return self._times(f"{REMOTE}/{_file(model)}", warmup + runs)[warmup:]

    def drop(self, model: Exported) -> None:
        self._shell(f"rm -f {REMOTE}/{_file(model)}")

    def close(self) -> None:
        try:
            self._shell(f"rm -rf {REMOTE}")
        except NasError:
            return  # the phone is gone: what it keeps is overwritten next time

    def _times(self, remote: str, runs: int) -> list[float]:
        binary = f"{REMOTE}/{self._program.name}"
        output = self._shell(self._program.command(binary, remote, runs, self._threads))
        times = self._program.times(output)
        if len(times) < runs:
            raise NasError(
                f"{self._program.name} printed {len(times)} times of {runs}; is it built from {self._program.runtime} "
                f"{self._version}? It said: {output.strip()[-400:] or 'nothing'}"
            )
        return times

    def _push(self, path: Path, name: str) -> str:
        remote = f"{REMOTE}/{name}"
        self._run([*self._adb, "push", str(path), remote])
        return remote

    def _shell(self, command: str) -> str:
        """Output of a command on the phone, errors included; older adb does not pass its status on."""
        output = self._run([*self._adb, "shell", f"( {command} ) 2>&1; echo {_END}$?"])
        text, mark, status = output.rpartition(_END)
        if not mark or status.strip() != "0":
            raise NasError(
                _explain(f"`{shlex.split(command)[0]}` on the phone: {text.strip()[-400:] or 'no output'}")
            )
        return text

    def _run(self, command: Sequence[str]) -> str:
        try:
            done = subprocess.run(list(command), capture_output=True, timeout=_SECONDS, check=False)
        except FileNotFoundError:
            raise NasError("--via adb: there is no `adb` here; install Android's platform tools.") from None
        except subprocess.TimeoutExpired:
            raise NasError(
                f"adb did not finish within {_SECONDS:.0f} s: {shlex.join(command)[:200]}"
            ) from None
        said = done.stdout.decode(errors="replace")
        if done.returncode:
            raise NasError(_explain(f"adb: {(done.stderr.decode(errors='replace') or said).strip()[-400:]}"))
        return said


_ADVICE = {
    "unauthorized": "allow this computer on the phone's screen",
    "offline": "unplug the phone and plug it in again, or `adb reconnect`",
    "no devices": "connect a phone and switch on USB debugging",
    "more than one": "name one: --via adb:SERIAL (`adb devices` lists them)",
    "not found": "is it connected, is the serial right? `adb devices` lists them",
    "No space left": "the phone's storage is full; free some",
}


def _explain(said: str) -> str:
    advice = next((advice for words, advice in _ADVICE.items() if words in said), "")
    return f"{said}{' → ' + advice + '.' if advice else ''}"


def _file(model: Exported) -> str:
    return model.path.name


def _known() -> str:
    return " and ".join(sorted(PROGRAMS))
