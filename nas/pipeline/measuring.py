"""Measured latency of found architectures, beside what was predicted for them."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nas import content
from nas.errors import NasError
from nas.latency.device import Device
from nas.latency.profiling.known_device import NetworkTiming, Reach, network_timing
from nas.latency.table import Entry
from nas.metrics import Metric, holds
from nas.pipeline.plan import RunPlan
from nas.pipeline.progress import Reporter
from nas.shell import with_plugins
from nas.space.space import Space
from nas.store import Storage, StudyRow, TrialRow

MEASURED, PREDICTED = "measured", "predicted"
AT_ONCE = 4


@dataclass(frozen=True)
class Measurement:
    """One trial's latency on a device.

    Attributes:
        predicted: as the study stored it; where it was not searched for this device, by the device as it is now.
        measured: the median of its runs, with the interval that holds 90 % of them.
    """

    number: int
    arch_id: str
    predicted: Metric
    measured: Metric

    @property
    def inside(self) -> bool:
        """Whether the prediction's interval holds the measured median."""
        return holds(self.predicted, self.measured)


def measure(
    storage: Storage,
    study: StudyRow,
    trials: Sequence[TrialRow],
    device: Device,
    space: Space,
    timing: NetworkTiming,
    reporter: Reporter,
    stop: Callable[[], bool] = lambda: False,
) -> list[Measurement]:
    """Time trials' networks and store each as `measured` (stage `measured`); few at a time, each stored at once.

    What a device predicts that the study was not searched for is stored too (stage `predicted`).

    Args:
        stop: asked between a few networks whether to end early; what was timed is kept.

    Raises:
        NasError: a network that cannot be timed, or a device that is gone; what was timed is kept.
    """
    name, done = latency_name(study, device), []
    with reporter.task(f"timing on {device.name}", len(trials)) as task:
        for start in range(0, len(trials), AT_ONCE):
            if stop():
                break
            some = trials[start : start + AT_ONCE]
            batch = space.encode([dict(trial.arch) for trial in some])
            times = timing.times(list(batch))
            predicted = device.latency(space, batch)
            found = [
                Measurement(
                    trial.number,
                    arch_id,
                    trial.metrics.get(name) or predicted.metric(row),
                    _metric(times[arch_id], device),
                )
                for row, (trial, arch_id) in enumerate(zip(some, batch.ids))
            ]
            new = {
                one.number: {name: one.predicted}
                for one, trial in zip(found, some)
                if name not in trial.metrics
            }
            if new:
                storage.add_metrics(study.id, PREDICTED, new)
            storage.add_metrics(study.id, MEASURED, {one.number: {name: one.measured} for one in found})
            done += found
            for _ in found:
                task.advance()
    return done


def check_measurable(plan: RunPlan, source: str, reach: Reach, reporter: Reporter) -> None:
    """Reach each device of a run once, so that the run does not fail at its end.

    Raises:
        NasError: no device, one that cannot be timed, or none there.
    """
    if not plan.metrics.devices:
        raise NasError("--measure: name the device whose latency is measured with --device.")
    for device in plan.metrics.devices:
        with network_timing(device, plan.space, source, reporter, reach):
            pass


def measure_front(
    plan: RunPlan, source: str, reach: Reach, storage: Storage, reporter: Reporter, stop: Callable[[], bool]
) -> None:
    """Time the front of a finished study on each of its devices; see `measure`. What was timed before stays as it is.

    Raises:
        NasError: a network that cannot be timed, or a device that is gone; and how to go on.
        KeyboardInterrupt: stopped by the user; says what is stored.
    """
    study = storage.study(plan.name)
    whole = storage.front(study.id)
    for device in plan.metrics.devices:
        again, name = _command(plan, source, reach, device, storage), latency_name(study, device)
        front = [trial for trial in whole if name not in trial.at(MEASURED)]
        if len(front) < len(whole):
            known = len(whole) - len(front)
            reporter.say(f"{known} of {len(whole)} networks were timed before; {again} times them all again.")
        if not front:
            continue
        try:
            with network_timing(device, plan.space, source, reporter, reach) as timing:
                found = measure(storage, study, front, device, plan.space, timing, reporter, stop)
        except NasError as error:
            raise NasError(f"{error} The study is finished and stored; {again} times its front.") from None
        tell(reporter, found)
        if len(found) < len(front):
            done = len(whole) - len(front) + len(found)
            raise KeyboardInterrupt(
                f"the study is finished; {done} of {len(whole)} networks of its front are timed on {device.name}"
            )


def _command(plan: RunPlan, source: str, reach: Reach, device: Device, storage: Storage) -> str:
    """What times a study's front on a device afterwards, reached in the same way."""
    by_name = [one.name for one in plan.metrics.devices] == [device.name] and _named(device)
    options = {
        "--study": plan.name,
        "--device": "" if by_name else device.name if _named(device) else str(device.folder),
        "--via": reach.via,
        "--binary": str(reach.binary or ""),
        "--python": "" if reach.python == Reach().python else reach.python,
        "--space": "" if source == plan.space.name else source,
        "--storage": "" if plan.storage is None else storage.url,
    }
    given = [f"{option} {shlex.quote(value)}" for option, value in options.items() if value]
    return " ".join([shlex.join(with_plugins(["nas", "measure"])), *given])


def _named(device: Device) -> bool:
    """Whether the device's name finds this one."""
    try:
        return content.find("devices", device.name).resolve() == device.folder.resolve()
    except NasError:
        return False


def _metric(entry: Entry, device: Device) -> Metric:
    file, spread = device.file, entry.spread_ms or 0.0
    threads = f"{file.threads} thread{'' if file.threads == 1 else 's'}"
    detail = f"{device.name}: {file.runtime.name} {file.runtime.version}, {threads}, {entry.runs} runs"
    low, high = max(entry.median_ms - spread, 0.0), entry.median_ms + spread
    return Metric(entry.median_ms, "ms", "measured", low, high, detail)


def latency_name(study: StudyRow, device: Device) -> str:
    """The metric of a device's latency in a study: `latency` where it is the only one searched for."""
    names = study.config.get("devices") or []
    return "latency" if [str(one) for one in names] == [device.name] else f"latency@{device.name}"


def tell(reporter: Reporter, found: Sequence[Measurement]) -> None:
    """One line: how many predictions held."""
    misses = [one for one in found if not one.inside]
    reporter.say(f"measured {len(found)} networks: {len(found) - len(misses)} inside the predicted interval")
    for one in misses:
        reporter.warn(
            f"trial {one.number}: measured {one.measured.value:.3g} ms, predicted {shown(one.predicted)}"
        )


def shown(metric: Metric) -> str:
    """A latency and its interval: `12.3 ms (11.8–12.9)`."""
    interval = f" ({metric.low:.3g}–{metric.high:.3g})" if metric.low is not None else ""
    return f"{metric.value:.3g} {metric.unit}{interval}"
