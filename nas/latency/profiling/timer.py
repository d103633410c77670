"""The timer: runs one exported model over and over and says how long each run took.

This file is the whole program that runs on the device, this machine or a board: it needs Python 3.8, numpy and the
runtime, nothing of this package. It reads one JSON object per line from standard input and answers each with one on
standard output: `{"op": "hello", "runtime": "onnxruntime", "threads": 1}`, then
`{"op": "load", "id": "a", "shape": [1, 3, 32, 32], "path": …}` (or `"data"`, base64), `{"op": "time", "id": "a", …}`,
`{"op": "drop", "id": "a"}`. It ends when its input does.
"""

from __future__ import annotations

import base64
import gc
import json
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any, Callable  # noqa: UP035 (runs on boards with an old Python)

Run = Callable[[], Any]
LINE = 16  # float32 in a cache line


class Loaded:
    """A model ready to run.

    Attributes:
        run: runs it once.
        feed: writes its input anew, which leaves the input in the cache, as the layer before would.
        owner: what must live as long as the model.
    """

    def __init__(self, run: Run, feed: Run, owner: Any = None) -> None:
        self.run, self.feed, self.owner = run, feed, owner
        run()


class Onnxruntime:
    """Models in ONNX, outputs bound to buffers allocated once."""

    def __init__(self, threads: int) -> None:
        import onnxruntime

        self.version = onnxruntime.__version__
        self._module, self._threads = onnxruntime, threads

    def load(self, data: bytes, shape: list[int]) -> Loaded:
        """The model with random numbers as its input."""
        options = self._module.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = self._threads, 1
        options.log_severity_level = 3
        session = self._module.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        binding, source = session.io_binding(), random_input(shape)
        value = self._module.OrtValue.ortvalue_from_numpy(source)
        binding.bind_ortvalue_input(session.get_inputs()[0].name, value)
        binding.bind_output(session.get_outputs()[0].name)
        session.run_with_iobinding(binding)
        binding.bind_ortvalue_output(session.get_outputs()[0].name, binding.get_outputs()[0])
        return Loaded(lambda: session.run_with_iobinding(binding), lambda: value.update_inplace(source))


class Executorch:
    """Programs of ExecuTorch."""

    def __init__(self, threads: int) -> None:
        import torch
        from executorch.runtime import Runtime

        self.version = package_version("executorch")
        self._torch, self._runtime = torch, Runtime.get()
        self._runtime._legacy_module._unsafe_reset_threadpool(threads)

    def load(self, data: bytes, shape: list[int]) -> Loaded:
        """The program with random numbers as its input."""
        program = self._runtime.load_program(data)
        method = program.load_method("forward")
        source = self._torch.from_numpy(random_input(shape))
        x = source.clone()
        return Loaded(lambda: method.execute([x]), lambda: x.copy_(source), program)


class Torch:
    """Programs of `torch.export`, run eagerly, images channels-last."""

    def __init__(self, threads: int) -> None:
        import torch

        torch.set_num_threads(threads)
        self.version, self._torch = str(torch.__version__), torch

    def load(self, data: bytes, shape: list[int]) -> Loaded:
        """The program with random numbers as its input."""
        import io

        module = self._torch.export.load(io.BytesIO(data)).module()
        source = self._torch.from_numpy(random_input(shape))
        if source.dim() == 4:
            source = source.contiguous(memory_format=self._torch.channels_last)
        x = source.clone()

        def run() -> None:
            with self._torch.inference_mode():
                module(x)

        return Loaded(run, lambda: x.copy_(source))


RUNTIMES: dict[str, Any] = {"onnxruntime": Onnxruntime, "executorch": Executorch, "torch": Torch}


def random_input(shape: list[int]) -> Any:
    """Normal float32 numbers, the same for the same shape."""
    import numpy as np

    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


def package_version(name: str) -> str:
    """Version of an installed package."""
    from importlib.metadata import version

    return version(name)


class Stopwatch:
    """Times single runs.

    With one thread, time that other processes took away is not counted: a run's time is the processor time of its
    thread where that is less than what passed on the wall.
    """

    def __init__(self, threads: int) -> None:
        self._single = threads == 1 and hasattr(time, "thread_time_ns")
        self._others: Any = None

    def once(self, model: Loaded, flush_kib: int, between: list[Loaded]) -> int:
        """Nanoseconds of one run, after as many KiB of other memory were read, and other models run, as given."""
        if flush_kib:
            self._flush(flush_kib)
            for other in between:
                other.run()
            model.feed()
        used = time.thread_time_ns() if self._single else 0
        begun = time.perf_counter_ns()
        model.run()
        passed = time.perf_counter_ns() - begun
        return min(passed, time.thread_time_ns() - used) if self._single else passed

    def burst(
        self,
        model: Loaded,
        warmup: int,
        warmup_ms: float,
        runs: int,
        least_ms: float,
        most_ms: float,
        flush_kib: int,
        between: list[Loaded],
    ) -> list[float]:
        """Times of single runs in ms, after warming up.

        Args:
            model: to run.
            warmup, warmup_ms: least runs and time of the warm-up.
            runs, least_ms: runs go on until there are this many and they took this long together …
            most_ms: … or this long, if there are three.
            flush_kib: KiB of other memory read before every run, as the rest of a network would read them.
            between: small models run after that, as the rest of a network would keep the runtime's code at hand.
        """
        begun, done = time.perf_counter_ns(), 0
        while done < warmup or time.perf_counter_ns() - begun < warmup_ms * 1e6:
            model.run()
            done += 1
        gc.collect()
        gc.disable()
        times: list[int] = []
        total = 0
        while (len(times) < runs or total < least_ms * 1e6) and (len(times) < 3 or total < most_ms * 1e6):
            times.append(self.once(model, flush_kib, between))
            total += times[-1]
        gc.enable()
        return [took / 1e6 for took in times]

    def _flush(self, kib: int) -> None:
        import numpy as np

        if self._others is None or len(self._others) != kib * 256:
            self._others = np.ones(kib * 256, dtype=np.float32)
        self._others[::LINE].sum()


def hardware() -> str:
    """What this machine calls itself."""
    facts: dict[str, str] = {}
    for line in _text("/proc/cpuinfo").splitlines():
        key, _, value = line.partition(":")
        facts.setdefault(key.strip(), value.strip())
    processor = facts.get("model name") or facts.get("Hardware") or platform.processor()
    if "cpu family" in facts:  # virtual machines of very different hosts call themselves the same
        processor += f" (family {facts['cpu family']}, model {facts.get('model', 'unknown')})"
    names = [name for name in (_first_line("/proc/device-tree/model"), processor) if name]
    return f"{', '.join(names) or 'unknown'}, {platform.machine()}"


def pin(threads: int) -> list[int]:
    """Keep this process on as many processors as it has threads, the last ones: interrupts favour the first."""
    if not hasattr(os, "sched_setaffinity"):
        return []
    chosen = sorted(os.sched_getaffinity(0))[-threads:]
    os.sched_setaffinity(0, chosen)
    return chosen


class Timer:
    """The answers to requests."""

    def __init__(self) -> None:
        self._runtime: Any = None
        self._stopwatch: Any = None
        self._loaded: dict[str, Loaded] = {}

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """The answer to one request."""
        answers: dict[str, Any] = {
            "hello": self._hello,
            "load": self._load,
            "time": self._time,
            "drop": self._drop,
        }
        answer: dict[str, Any] = answers[request.pop("op")](**request)
        return answer

    def _hello(self, runtime: str, threads: int, runner: str = "", source: str = "") -> dict[str, Any]:
        processors = pin(threads)
        os.environ["OMP_NUM_THREADS"] = str(threads)
        made = RUNTIMES[runtime] if not source else _defined(source, runner, runtime)
        self._runtime, self._stopwatch = made(threads), Stopwatch(threads)
        return {"version": self._runtime.version, "hardware": hardware(), "processors": processors}

    def _load(self, id: str, shape: list[int], path: str = "", data: str = "") -> dict[str, Any]:
        content = Path(path).read_bytes() if path else base64.b64decode(data)
        self._loaded[id] = self._runtime.load(content, shape)
        return {}

    def _time(self, id: str, between: list[str], **limits: Any) -> dict[str, Any]:
        others = [self._loaded[other] for other in between]
        return {"ms": self._stopwatch.burst(self._loaded[id], between=others, **limits)}

    def _drop(self, id: str) -> dict[str, Any]:
        self._loaded.pop(id, None)
        return {}


def _defined(source: str, name: str, runtime: str) -> Any:
    """The class that a plug-in's runtime is run by; whoever started the timer loaded the plug-in and sends its text."""
    names = dict(globals())
    exec(compile(source, f"<runner of {runtime}>", "exec"), names)  # noqa: S102
    return names[name]


def _first_line(path: str) -> str:
    return _text(path).partition("\n")[0].strip("\0 ")


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def main() -> None:
    """Answer requests until there are no more."""
    # Runtimes write what they like to standard output; the answers must stand there alone.
    answers = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)
    timer = Timer()
    for line in sys.stdin:
        try:
            answer = {"ok": True, **timer.answer(json.loads(line))}
        except Exception as error:
            answer = {"ok": False, "error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
