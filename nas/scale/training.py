"""Training by several processes through Ray Train's TorchTrainer (gloo on CPUs, nccl on GPUs).

The driver stays the only writer of the store: the leading process sends what it has to tell through a mailbox.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from nas.errors import NasError
from nas.pipeline.data import RunData, fingerprints
from nas.pipeline.job import UP_TO_CHECKPOINT, Interrupted, Job, Keep, Outcome
from nas.pipeline.progress import Interrupt, Reporter
from nas.plugins.carried import Carried
from nas.scale.cluster import Origin, alive, connected
from nas.scale.images import check_images
from nas.scale.workers import READY_S, Workers
from nas.store import SeriesPoint
from nas.supernet.checkpoint import Checkpointer
from nas.supernet.trainer import Trainer

POLL_S = 0.2

Messages = list[tuple[str, Any]]


class CarriedCheckpointer(Checkpointer):
    """Checkpoints of a process that has not got the driver's disk: written beside it and handed to the driver."""

    def __init__(self, files: dict[str, bytes], carry: Callable[[bytes, bool], None], of: str = "") -> None:
        """Begin with the files that the driver has; `carry` takes each new one to it."""
        self._aside = TemporaryDirectory(prefix="nas-training-")
        super().__init__(Path(self._aside.name), of)
        self._carry = carry
        for name, content in files.items():
            (self.folder / name).write_bytes(content)

    def save(self, payload: dict[str, Any], *, between: bool = False) -> None:
        """Write here, then there."""
        super().save(payload, between=between)
        self._carry((self.between if between else self.current).read_bytes(), between)


class _Mailbox:
    """Messages from the leading process, taken by the driver in their order."""

    def __init__(self) -> None:
        self.messages: Messages = []
        self._put = self._taken = self._heeded = 0
        self._changed = asyncio.Condition()

    async def put(self, kind: str, content: Any) -> None:
        """Leave a message."""
        self.messages.append((kind, content))
        self._put += 1

    async def deliver(self, kind: str, content: Any) -> None:
        """Leave a message and wait until the driver has acted on it."""
        await self.put(kind, content)
        mine = self._put
        async with self._changed:
            await self._changed.wait_for(lambda: self._heeded >= mine)

    async def take(self) -> Messages:
        """What has come since the driver last asked; asking again says that it acted on what it got."""
        self._heeded, self._taken = self._taken, self._put
        taken, self.messages = self.messages, []
        async with self._changed:
            self._changed.notify_all()
        return taken


def train_together(
    job: Job, data: RunData, workers: Workers, reporter: Reporter, interrupt: Interrupt, keep: Keep
) -> Outcome:
    """Train by `workers.training` processes.

    Each process takes its part of every batch; the result is that of one process, to float tolerance.
    Checkpoints are in the job's folder on the driver's machine, wherever the leading process is.

    Args:
        data: which every process loads itself.
        keep: told the points of the training series, in order.

    Raises:
        Interrupted: the user asked to stop; training goes on from its last checkpoint.
        NasError: no cluster, one too small, or a process that failed or could not start.
    """
    with connected(workers.address) as ray:
        _check_room(ray, workers.training)
        mailbox = ray.remote(num_cpus=0)(_Mailbox).remote()
        reporter.say(f"training by {workers.training} processes on {len(alive(ray))} machine(s)")
        failure: list[str] = []
        given = (job, fingerprints(data), workers, mailbox, failure)
        fitting = threading.Thread(target=_fit, args=given, daemon=True)
        fitting.start()
        driver = _Driver(reporter, keep, Checkpointer(job.folder), job.name, job.steps(data))
        try:
            with driver.bar:
                _follow(fitting, driver, lambda: _taken(ray, mailbox), interrupt)
        finally:
            # Processes that still train learn by it that nobody listens, and end.
            with suppress(Exception):
                ray.kill(mailbox)
    if driver.result is None:
        raise NasError(failure[0] if failure else "the training processes ended without a result.")
    shutil.rmtree(_bookkeeping(job), ignore_errors=True)
    return driver.result


def _check_room(ray: Any, wanted: int) -> None:
    import torch

    for kind in ("CPU", *(["GPU"] if torch.cuda.is_available() else [])):
        room = int(ray.cluster_resources().get(kind, 0))
        if wanted > room:
            raise NasError(f"--train-workers {wanted}: the cluster has {room} {kind}, one for each.")


def _follow(
    fitting: threading.Thread, driver: _Driver, taken: Callable[[], Messages], interrupt: Interrupt
) -> None:
    """Act on what comes until the training has ended."""
    started = time.monotonic()
    while fitting.is_alive():
        fitting.join(POLL_S)
        driver.read(taken())
        if interrupt.asked:
            raise Interrupted(UP_TO_CHECKPOINT)
        if not driver.begun and time.monotonic() - started > READY_S:
            raise NasError(
                f"the training processes did not start within {READY_S:g} s; is the cluster busy with something else? "
                "`ray status` tells what it waits for."
            )
    driver.read(taken())


def _taken(ray: Any, mailbox: Any) -> Messages:
    try:
        messages: Messages = ray.get(mailbox.take.remote())
    except (ray.exceptions.RayError, ConnectionError) as error:
        what = str(error).strip().splitlines()[0].rstrip(".")
        raise NasError(
            f"Ray was lost during the training: {what}. {UP_TO_CHECKPOINT.capitalize()}."
        ) from None
    return messages


def _bookkeeping(job: Job) -> Path:
    """Where Ray Train writes down its own state; nothing in it is needed once the training has ended."""
    return job.folder / "ray"


class _Driver:
    def __init__(
        self, reporter: Reporter, keep: Keep, checkpoints: Checkpointer, name: str, total: int
    ) -> None:
        self.reporter, self.keep, self.checkpoints = reporter, keep, checkpoints
        self.name, self.total = name, total
        self.result: Outcome | None = None
        self.begun = False
        self.bar = ExitStack()
        self._task: Any = None

    def read(self, messages: Messages) -> None:
        """Act on what the leading process told."""
        import torch

        for kind, content in messages:
            if kind == "started":
                self.begun = True
            elif kind == "say":
                self.reporter.say(content)
            elif kind == "warn":
                self.reporter.warn(content)
            elif kind == "begin":
                self._task = self.bar.enter_context(self.reporter.task(self.name, self.total, content))
            elif kind == "step":
                self._task.advance(content)
            elif kind == "points":
                self.keep([SeriesPoint(*point) for point in content])
            elif kind == "checkpoint":
                written, between = content
                self.checkpoints.keep(written, between=between)
            else:
                weights, card = content
                tensors = {name: torch.tensor(value) for name, value in weights.items()}
                self.result = Outcome(tensors, card)


def _fit(job: Job, images: Mapping[str, str], workers: Workers, mailbox: Any, failure: list[str]) -> None:
    os.environ.setdefault("RAY_TRAIN_ENABLE_STATE_TRACKING", "0")
    import ray
    import torch
    from ray.train import RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    from nas.scale.network import torch_config

    gpu = torch.cuda.is_available()
    try:
        trainer = TorchTrainer(
            _process,
            train_loop_config={
                "job": Carried.of(job.portable()),
                "images": images,
                "checkpoints": ray.put(Checkpointer(job.folder).files()),
                "mailbox": mailbox,
                "origin": Origin.here(),
            },
            torch_config=torch_config("cpu:gloo,cuda:nccl" if gpu else "gloo"),
            scaling_config=ScalingConfig(num_workers=workers.training, use_gpu=gpu),
            run_config=RunConfig(storage_path=str(_bookkeeping(job).resolve()), name="training"),
        )
        trainer.fit()
    except Exception as error:
        # Ray wraps whatever ended a process; the last line names it.
        lines = str(error).strip().splitlines()
        failure.append(f"training by {workers.training} processes failed: {lines[-1] if lines else error!r}")


class _Line:
    """From a training process to the driver; only the leading one speaks."""

    def __init__(self, mailbox: Any, leads: bool) -> None:
        import ray

        self._get, self._mailbox, self._leads = ray.get, mailbox, leads

    def tell(self, kind: str, content: Any) -> None:
        """Leave a message."""
        if self._leads:
            self._get(self._mailbox.put.remote(kind, content))

    def deliver(self, kind: str, content: Any) -> None:
        """Leave a message and wait until the driver has acted on it."""
        if self._leads:
            self._get(self._mailbox.deliver.remote(kind, content))


def _process(config: dict[str, Any]) -> None:
    """One training process; the first of them tells the driver."""
    import ray
    from ray import train

    from nas.pipeline.training import set_threads
    from nas.supernet.parallel import Group

    config["origin"].enter()
    job, context = config["job"].open(), train.get_context()
    group = Group(context.get_world_rank(), context.get_world_size())
    line = _Line(config["mailbox"], group.leads)
    line.tell("started", group.size)
    set_threads(job.plan.settings)
    data = job.data()
    check_images(data, config["images"])
    trainer = job.trainer(data, group)
    if group.leads and not config["origin"].near:
        files = ray.get(config["checkpoints"])
        of = trainer.checkpoints.of
        trainer.checkpoints = CarriedCheckpointer(
            files, lambda *content: line.deliver("checkpoint", content), of
        )
    if trainer.resume():
        line.tell("say", f"training continues at step {trainer.step} of {trainer.total}")
    line.tell("begin", trainer.step)
    _train(job, trainer, line)
    outcome = job.finished(data, trainer)
    weights = {name: value.numpy() for name, value in outcome.weights.items()}
    line.tell("done", (weights, outcome.card))


def _train(job: Job, trainer: Trainer[Any], line: _Line) -> None:
    """Train to the end; what a checkpoint says is done has been handed over before.

    Were the driver gone, nobody would have it.
    """
    points: list[SeriesPoint] = []
    for report in trainer.steps():
        points += job.points(report, trainer) if trainer.group.leads else []
        line.tell("step", f"loss {report.loss:.3f}")
        if trainer.due:
            line.deliver("points", [(point.name, point.step, point.data) for point in points])
            points = []
    for warning in trainer.warnings:
        line.tell("warn", warning)
