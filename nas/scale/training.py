"""Training by several processes through Ray Train's TorchTrainer (gloo on CPUs, nccl on GPUs).

The driver stays the only writer of the store: the leading process sends what it has to tell through a mailbox.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from nas.errors import NasError
from nas.pipeline.job import UP_TO_CHECKPOINT, Interrupted, Job, Keep, Outcome
from nas.pipeline.progress import Interrupt, Reporter
from nas.scale.cluster import Origin, connected
from nas.scale.workers import Workers
from nas.store import SeriesPoint
from nas.supernet.checkpoint import Checkpointer

POLL_S = 0.2


class CarriedCheckpointer(Checkpointer):
    """Checkpoints of a process that has not got the driver's disk: written beside it and handed to the driver."""

    def __init__(self, files: dict[str, bytes], carry: Callable[[bytes], None]) -> None:
        """Begin with the files that the driver has; `carry` takes each new one to it."""
        self._aside = TemporaryDirectory(prefix="nas-training-")
        super().__init__(Path(self._aside.name))
        self._carry = carry
        for name, content in files.items():
            (self.folder / name).write_bytes(content)

    def save(self, payload: dict[str, Any]) -> None:
        """Write here, then there."""
        super().save(payload)
        self._carry(self.current.read_bytes())


class _Mailbox:
    """Messages from the leading process, taken by the driver in their order."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, Any]] = []
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

    async def take(self) -> list[tuple[str, Any]]:
        """What has come since the driver last asked; asking again says that it acted on what it got."""
        self._heeded, self._taken = self._taken, self._put
        taken, self.messages = self.messages, []
        async with self._changed:
            self._changed.notify_all()
        return taken


def train_together(
    job: Job, workers: Workers, reporter: Reporter, interrupt: Interrupt, total: int, keep: Keep
) -> Outcome:
    """Train by `workers.training` processes.

    Each process takes its part of every batch; the result is that of one process, to float tolerance.
    Checkpoints are in the job's folder on the driver's machine, wherever the leading process is.

    Args:
        total: steps of the training, to show how far it is.
        keep: told the points of the training series, in order.

    Raises:
        Interrupted: the user asked to stop; training goes on from its last checkpoint.
        NasError: no cluster, one too small, or a process that failed.
    """
    with connected(workers.address) as ray:
        room = int(ray.cluster_resources().get("CPU", 0))
        if workers.training > room:
            raise NasError(f"--train-workers {workers.training}: the cluster has {room} CPU, one for each.")
        mailbox = ray.remote(num_cpus=0)(_Mailbox).remote()
        reporter.say(f"training by {workers.training} processes on {len(ray.nodes())} machine(s)")
        failure: list[str] = []
        fitting = threading.Thread(target=_fit, args=(job, workers, mailbox, failure), daemon=True)
        fitting.start()
        driver = _Driver(reporter, keep, Checkpointer(job.folder), job.name, total)
        try:
            with driver.bar:
                while fitting.is_alive():
                    fitting.join(POLL_S)
                    driver.read(_taken(ray, mailbox))
                    if interrupt.asked:
                        raise Interrupted(UP_TO_CHECKPOINT)
                driver.read(_taken(ray, mailbox))
        finally:
            # Processes that still train learn by it that nobody listens, and end.
            ray.kill(mailbox)
    if driver.result is None:
        raise NasError(failure[0] if failure else "the training processes ended without a result.")
    shutil.rmtree(_bookkeeping(job), ignore_errors=True)
    return driver.result


def _taken(ray: Any, mailbox: Any) -> list[tuple[str, Any]]:
    try:
        messages: list[tuple[str, Any]] = ray.get(mailbox.take.remote())
    except ray.exceptions.RayError as error:
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
        self.bar = ExitStack()
        self._task: Any = None

    def read(self, messages: Sequence[tuple[str, Any]]) -> None:
        """Act on what the leading process told."""
        import torch

        for kind, content in messages:
            if kind == "say":
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
                self.checkpoints.keep(content)
            else:
                weights, card = content
                tensors = {name: torch.tensor(value) for name, value in weights.items()}
                self.result = Outcome(tensors, card)


def _fit(job: Job, workers: Workers, mailbox: Any, failure: list[str]) -> None:
    os.environ.setdefault("RAY_TRAIN_ENABLE_STATE_TRACKING", "0")
    import torch
    from ray.train import RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    from nas.scale.network import torch_config

    gpu = torch.cuda.is_available()
    trainer = TorchTrainer(
        _process,
        train_loop_config={
            "job": job.portable(),
            "checkpoints": Checkpointer(job.folder).files(),
            "mailbox": mailbox,
            "origin": Origin.here(),
        },
        torch_config=torch_config("nccl" if gpu else "gloo"),
        scaling_config=ScalingConfig(num_workers=workers.training, use_gpu=gpu),
        run_config=RunConfig(storage_path=str(_bookkeeping(job).resolve()), name="training"),
    )
    try:
        trainer.fit()
    except Exception as error:
        # Ray wraps whatever ended a process; the last line names it.
        lines = str(error).strip().splitlines()
        failure.append(f"training by {workers.training} processes failed: {lines[-1] if lines else error!r}")


def _process(config: dict[str, Any]) -> None:
    """One training process; the first of them tells the driver."""
    import ray
    from ray import train

    from nas.pipeline.training import set_threads
    from nas.supernet.parallel import Group

    config["origin"].enter()
    job, mailbox, context = config["job"], config["mailbox"], train.get_context()
    group = Group(context.get_world_rank(), context.get_world_size())
    settings = job.plan.settings
    set_threads(settings)
    data = job.data()
    trainer = job.trainer(data, group)

    def tell(kind: str, content: Any) -> None:
        if group.leads:
            ray.get(mailbox.put.remote(kind, content))

    def carry(content: bytes) -> None:
        ray.get(mailbox.deliver.remote("checkpoint", content))

    if group.leads and not config["origin"].near:
        trainer.checkpoints = CarriedCheckpointer(config["checkpoints"], carry)

    def hand_over(points: Sequence[SeriesPoint]) -> None:
        # The checkpoint that follows says that these steps are done: were the driver gone, nobody would have them.
        if group.leads:
            told = [(point.name, point.step, point.data) for point in points]
            ray.get(mailbox.deliver.remote("points", told))

    if trainer.resume():
        tell("say", f"training continues at step {trainer.step} of {trainer.total}")
    tell("begin", trainer.step)
    points: list[SeriesPoint] = []
    for report in trainer.steps():
        points += job.points(report, trainer) if group.leads else []
        tell("step", f"loss {report.loss:.3f}")
        if trainer.step % settings.train.checkpoint_every == 0 or trainer.step == trainer.total:
            hand_over(points)
            points = []
    for warning in trainer.warnings:
        tell("warn", warning)
    outcome = job.finished(data, trainer)
    weights = {name: value.numpy() for name, value in outcome.weights.items()}
    tell("done", (weights, outcome.card))
