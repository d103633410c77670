"""Timing whole networks on a device that was profiled before, at the speed it had then."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nas.errors import NasError
from nas.latency.device import Device
from nas.latency.profiling.exports import Exports, Wanted, discard
from nas.latency.profiling.folder import STATE
from nas.latency.profiling.runtimes.base import RUNTIMES, runtime_of
from nas.latency.profiling.sentinel import timing_of
from nas.latency.profiling.session import HOST, Request, target_of
from nas.latency.profiling.timing import NETWORK, Timing
from nas.latency.table import Entry
from nas.space.batch import Arch
from nas.space.space import Space

if TYPE_CHECKING:
    from nas.pipeline.progress import Reporter

_AT_ONCE = 20  # networks in the memory of the device


@dataclass(frozen=True)
class Reach:
    """How a device is reached.

    Attributes:
        via: `ssh://user@host[:port]` or `adb[:serial]`; empty: it is this machine.
        binary: the runtime's benchmark program for the device, for `adb`.
        python: the interpreter on the device, for `ssh`.

    Raises:
        NasError: a program or an interpreter that this way does not use.
    """

    via: str = ""
    binary: Path | None = None
    python: str = "python3"

    def __post_init__(self) -> None:
        if self.binary is not None and not self.via.startswith("adb"):
            raise NasError("--binary is the benchmark program for a phone: give --via adb[:serial] too.")
        if self.python != "python3" and not self.via.startswith("ssh"):
            raise NasError("--python is that of a board: give --via ssh://user@host[:port] too.")


class NetworkTiming:
    """Networks of one space on one device; see `network_timing`."""

    def __init__(self, device: Device, space: Space, source: str, exports: Exports, timing: Timing) -> None:
        self._device, self._space, self._source = device, space, source
        self._exports, self._timing = exports, timing

    def times(self, archs: Sequence[Arch]) -> dict[str, Entry]:
        """Milliseconds of one inference of each network, median and spread over its runs, by arch id.

        Raises:
            NasError: as `turns`.
        """
        return {arch_id: entry for _, timed in self.turns(archs, 1) for arch_id, entry in timed.items()}

    def turns(self, archs: Sequence[Arch], count: int) -> Iterator[tuple[int, dict[str, Entry]]]:
        """Times as of `times`, a few networks at a time, with the number of the turn, from 0.

        A turn begins when all were timed in the last one, so that as much time as can be lies between two times of one.

        Raises:
            NasError: a network that cannot be exported or run, or a device that is gone or throttled.
        """
        wanted = [Wanted.network(self._source, self._space.name, a.id, a.values) for a in archs]
        ids = {one.name: arch.id for one, arch in zip(wanted, archs)}
        models, failures = self._exports.get(wanted)
        try:
            self._refuse(failures)
            for turn in range(count):
                for start in range(0, len(models), _AT_ONCE):
                    found, refused = self._timing.batch(models[start : start + _AT_ONCE], NETWORK)
                    self._refuse(refused)
                    yield turn, {ids[name]: one.entry(self._device.name) for name, one in found.items()}
        finally:
            for model in models:
                discard(model)

    def _refuse(self, failures: Mapping[str, str]) -> None:
        if failures:
            name, why = next(iter(failures.items()))
            raise NasError(f"{self._device.name}: `{name}` cannot be timed: {why}")


@contextmanager
def network_timing(
    device: Device, space: Space, source: str, reporter: Reporter, reach: Reach | None = None
) -> Iterator[NetworkTiming]:
    """Timing of whole networks of a space on the machine that `nas device profile` profiled.

    Args:
        source: name or file the space was read from.

    Raises:
        NasError: the device was not profiled by this tool, or what is reached is another machine or another version of
            the runtime than the one that was profiled.
    """
    reach, file = reach or Reach(), device.file
    baseline = _baseline(device)
    if file.runtime.name not in RUNTIMES or file.threads == "unknown":
        raise NasError(f"{device.folder}: states no runtime and threads that networks could be timed with.")
    runtime = runtime_of(file.runtime.name)
    runtime.version()
    request = Request(
        device.name if reach.via else HOST,
        source,
        runtime.name,
        file.threads,
        via=reach.via,
        binary=reach.binary,
        python=reach.python,
    )
    with Exports(runtime) as exports, target_of(request, runtime) as target:
        facts = target.facts()
        if (facts.hardware, facts.version) != (file.hardware, file.runtime.version):
            where = f"behind {reach.via}" if reach.via else "here"
            raise NasError(
                f"{device.name} was profiled on {file.hardware}, {runtime.name} {file.runtime.version}; {where} is "
                f"{facts.hardware}, {facts.version}. Name the way to it (--via), or profile this one "
                "(nas device profile)."
            )
        timing = timing_of(target, exports, space, baseline=baseline, warn=reporter.warn)
        yield NetworkTiming(device, space, source, exports, timing)


def _baseline(device: Device) -> float:
    """The sentinel's time in ms when the device was profiled, to whose speed all is brought."""
    path = device.folder / STATE
    if not path.exists():
        raise NasError(
            f"device {device.name!r} cannot be timed: it is a table from elsewhere, not one that nas device profile "
            "made. Profile a device of yours, e.g. nas device profile host, and name that."
        )
    try:
        return float(json.loads(path.read_text(encoding="utf-8"))["sentinel_ms"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NasError(f"{path}: {type(error).__name__}: {error}; profile the device again.") from None
