"""This machine: the timer in a process of its own."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nas.latency.profiling import timer
from nas.latency.profiling.exports import Exported
from nas.latency.profiling.lines import LineProcess
from nas.latency.profiling.runtimes.base import runner_source
from nas.latency.profiling.targets.base import Burst, Facts, Target

_HOW = "units timed with their weights out of the nearest caches, as in a network"
HELLO_SECONDS, LOAD_SECONDS, TIME_SECONDS = 120.0, 120.0, 300.0


class TimerTarget(Target):
    """A target on which the timer runs and answers lines."""

    def __init__(self, process: LineProcess, runtime: str, threads: int) -> None:
        self._process, self._runtime, self._threads = process, runtime, threads

    def facts(self) -> Facts:
        runner = runner_source(self._runtime)
        hello = {"op": "hello", "runtime": self._runtime, "threads": self._threads, **runner}
        answer = self._process.ask(hello, HELLO_SECONDS)
        processors = ", ".join(map(str, answer["processors"]))
        pinned = f"pinned to processor {processors}" if processors else "not pinned to processors"
        return Facts(answer["hardware"], answer["version"], f"{_HOW}; {pinned}")

    def load(self, model: Exported) -> None:
        request = {"op": "load", "id": model.name, "shape": list(model.shape), **self._content(model)}
        self._process.ask(request, LOAD_SECONDS)

    def time(self, model: Exported, burst: Burst) -> list[float]:
        answer = self._process.ask({"op": "time", "id": model.name, **asdict(burst)}, TIME_SECONDS)
        return list(answer["ms"])

    def drop(self, model: Exported) -> None:
        self._process.ask({"op": "drop", "id": model.name}, LOAD_SECONDS)

    def close(self) -> None:
        self._process.close()

    def _content(self, model: Exported) -> dict[str, Any]:
        return {"path": str(model.path)}


def local_target(runtime: str, threads: int) -> Target:
    """This machine under one of the runtimes installed here."""
    command = [sys.executable, str(Path(timer.__file__))]
    environment = {"OMP_NUM_THREADS": str(threads), "PYTHONWARNINGS": "ignore"}
    return TimerTarget(LineProcess(command, "the timer", environment), runtime, threads)
