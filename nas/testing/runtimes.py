"""What profiling relies on in a runtime: it exports small networks, and times its own files on this machine."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor, nn

from nas.errors import NasError
from nas.latency.profiling.exports import Exported
from nas.latency.profiling.runtimes.base import Runtime, runtime_of
from nas.latency.profiling.targets.base import Burst
from nas.latency.profiling.targets.local import local_target
from nas.testing.demand import demand

BURST = Burst(warmup=1, warmup_ms=0.0, runs=5, least_ms=0.0)


def check_runtime(name: str) -> None:
    """Check the runtime of that name.

    Args:
        name: as `--runtime` takes it; what it needs is installed.

    Raises:
        AssertionError: the first property that does not hold, in a sentence.
        NasError: there is no such runtime, or what it needs is not installed.
    """
    runtime = runtime_of(name)
    demand(runtime.name == name, f"the runtime {name!r} calls itself {runtime.name!r}.")
    demand(runtime.suffix.startswith("."), f"suffix is {runtime.suffix!r}; it begins with a dot.")
    demand(isinstance(runtime.version(), str) and runtime.version(), "version() gives no text.")
    with TemporaryDirectory() as folder:
        files = [_exported(runtime, kind, *made, Path(folder)) for kind, made in _networks().items()]
        _check_times(runtime, files)


def _networks() -> dict[str, tuple[nn.Module, Tensor]]:
    torch.manual_seed(0)
    images = nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1, bias=False),
        nn.BatchNorm2d(8),
        nn.Hardswish(),
        nn.Conv2d(8, 8, 3, 1, 1, groups=8),
    )
    tokens = nn.Sequential(nn.LayerNorm(16), nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16))
    return {
        "a network of images": (images.eval(), torch.randn(1, 3, 16, 16)),
        "a network of tokens": (tokens.eval(), torch.randn(1, 9, 16)),
    }


def _exported(
    runtime: type[Runtime], kind: str, module: nn.Module, example: Tensor, folder: Path
) -> Exported:
    before = copy.deepcopy(module.state_dict())
    with torch.no_grad():
        module(example)
        try:
            data = runtime.export(module, example)
        except Exception as error:
            raise AssertionError(f"{kind} cannot be exported: {type(error).__name__}: {error}") from None
    demand(
        isinstance(data, bytes) and data,
        f"export gives {type(data).__name__} of length 0 or no bytes for {kind}.",
    )
    after = module.state_dict()
    demand(
        before.keys() == after.keys()
        and all(torch.equal(value, after[key]) for key, value in before.items()),
        f"exporting {kind} changes its weights.",
    )
    path = folder / f"{len(list(folder.iterdir()))}{runtime.suffix}"
    path.write_bytes(data)
    return Exported(kind, path, tuple(example.shape))


def _check_times(runtime: type[Runtime], files: list[Exported]) -> None:
    with local_target(runtime.name, 1) as target:
        try:
            facts = target.facts()
            demand(facts.version, "the runner states no version.")
            demand(
                facts.version == runtime.version(),
                f"version() says {runtime.version()}, the runner {facts.version}: models would not be made for it.",
            )
            for file in files:
                target.load(file)
                times = target.time(file, BURST)
                good = len(times) >= BURST.runs and all(math.isfinite(ms) and ms > 0 for ms in times)
                demand(
                    good, f"timing {file.name} gives {times[:5]}, not at least {BURST.runs} times above 0 ms."
                )
            for file in files:
                target.drop(file)
        except NasError as error:
            raise AssertionError(f"the file that it exported cannot be timed: {error}") from None
