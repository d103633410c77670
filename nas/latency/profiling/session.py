"""From what a user asks for to a profiled device: target, folder and profiler put together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from nas.errors import NasError
from nas.latency.device import Device, load_device
from nas.latency.predictor import Predictor
from nas.latency.profiling.exports import Exports
from nas.latency.profiling.folder import DeviceFolder, Identity
from nas.latency.profiling.profiler import Limits, Profiler
from nas.latency.profiling.runtimes.base import Runtime, runtime_of
from nas.latency.profiling.targets.adb import AdbTarget
from nas.latency.profiling.targets.base import Facts, Target
from nas.latency.profiling.targets.local import local_target
from nas.latency.profiling.targets.ssh import SshTarget
from nas.latency.profiling.use import space_use
from nas.space.load import load_space

if TYPE_CHECKING:
    from nas.pipeline.progress import Reporter

HOST = "host"


@dataclass(frozen=True)
class Request:
    """What to profile.

    Attributes:
        target: `host` for this machine, or a name for the device.
        space: name or file.
        runtime: `onnxruntime`, `executorch`, `torch` or `training`, or a plug-in's.
        threads: the runtime may use.
        limits: when it ends.
        via: how the device is reached; empty: it is this machine.
        binary: the runtime's benchmark program for the device, for `adb`.
        python: the interpreter on the device, for `ssh`.
        name: of the device; by default the target, `host-RUNTIME` for this machine.
        output: folder; by default `./devices/NAME`.
        like: devices to start from.
        seed: of draws and orders.
    """

    target: str
    space: str
    runtime: str
    threads: int = 1
    limits: Limits = field(default_factory=Limits)
    via: str = ""
    binary: Path | None = None
    python: str = "python3"
    name: str = ""
    output: Path | None = None
    like: Sequence[str] = ()
    seed: int = 0

    @property
    def device_name(self) -> str:
        """Name of the device."""
        return self.name or (f"{HOST}-{self.runtime}" if self.target == HOST else self.target)

    @property
    def folder(self) -> Path:
        """Where it is written."""
        return self.output or Path("devices") / self.device_name


def profile(request: Request, reporter: Reporter, stop: Callable[[], bool] = lambda: False) -> Device | None:
    """Profile a device; None if it was stopped early.

    Raises:
        NasError: something is wrong with the request, the target, or the folder; what was timed is kept.
    """
    runtime = runtime_of(request.runtime)
    runtime.version()
    space = load_space(request.space)
    uses = space_use(space, seed=request.seed)
    like = _predictors(request.like)
    with Exports(runtime) as exports, target_of(request, runtime) as target:
        facts = target.facts()
        folder = _folder(request, facts)
        reporter.say(_opening(request, facts, folder, sum(len(use.rows) for use in uses.values())))
        profiler = Profiler(
            space,
            request.space,
            uses,
            target,
            exports,
            folder,
            request.limits,
            reporter,
            like,
            request.seed,
            stop,
        )
        predictor = profiler.run()
    return load_device(request.folder) if predictor is not None else None


def target_of(request: Request, runtime: type[Runtime]) -> Target:
    """The target a request names.

    Raises:
        NasError: it cannot be reached that way.
    """
    way, _, rest = request.via.partition(":")
    if not request.via:
        return local_target(runtime.name, request.threads)
    if request.target == HOST:
        raise NasError(
            f"`{HOST}` is this machine; give the device behind --via {request.via} a name of its own."
        )
    if way == "ssh":
        return SshTarget(request.via, runtime.name, request.threads, request.python)
    if way == "adb":
        return AdbTarget(rest, runtime.name, runtime.version(), request.threads, request.binary)
    raise NasError(f"--via {request.via!r}: ssh://user@host[:port] or adb[:serial] is needed.")


def _folder(request: Request, facts: Facts) -> DeviceFolder:
    batch = runtime_of(request.runtime).batch
    identity = Identity(facts.hardware, request.runtime, facts.version, request.threads, batch)
    return DeviceFolder(
        request.folder, request.device_name, identity, date.today().isoformat(), notes=facts.notes
    )


def _opening(request: Request, facts: Facts, folder: DeviceFolder, units: int) -> str:
    where = f"over {request.via}" if request.via else "this machine"
    known = (
        f"; {len(folder.table):,} units and {len(folder.networks)} networks are known"
        if len(folder.table)
        else ""
    )
    return (
        f"{request.device_name}: {where}, {facts.hardware}, {request.runtime} {facts.version}, "
        f"{request.threads} thread{'s' if request.threads > 1 else ''}; {units:,} different units{known}"
    )


def _predictors(names: Sequence[str]) -> list[Predictor]:
    found = []
    for name in names:
        predictor = load_device(name).predictor
        if predictor is None:
            raise NasError(f"--like {name}: that device has no predictor to start from.")
        found.append(predictor)
    return found
