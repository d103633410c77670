"""Evaluation by Ray actors that hold the supernet's weights once per machine.

The driver is the only one who asks, tells and stores; a worker is handed an architecture and gives back its
accuracy, which is a pure function of (weights, arch, seed), so that it does not matter who computes it. A worker
that dies is replaced and its candidate tried again.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count, cycle
from typing import TYPE_CHECKING, Any

from nas.errors import NasError
from nas.metrics import Metric
from nas.pipeline.plan import RunPlan
from nas.pipeline.pool import Evaluated
from nas.pipeline.progress import Reporter
from nas.plugins.carried import Carried
from nas.scale.cluster import Origin, alive, connected
from nas.scale.images import check_images
from nas.space.batch import Arch, ArchBatch

if TYPE_CHECKING:
    from nas.pipeline.evaluating import Evaluator
    from nas.pipeline.training import TrainedSupernet

READY_S = 300.0


@dataclass(frozen=True)
class Workers:
    """How candidates are spread.

    Attributes:
        address: of the Ray cluster; see `nas.scale.cluster.connected`.
        count: number of workers.
        max_failures: how often a candidate is tried again after its worker died.
        training: number of processes that train the supernet together.
        asynchronous: ask for the next candidate as soon as any worker is free; otherwise whole batches, with
            the same candidates as a run without workers.
    """

    address: str
    count: int
    max_failures: int = 3
    asynchronous: bool = True
    training: int = 1


class _Worker:
    """Lives in a process of its own; rebuilds the evaluator from plain parts."""

    def __init__(
        self, carried: Carried, card: dict[str, Any], weights: dict[str, Any], origin: Origin
    ) -> None:
        import torch

        from nas.pipeline.evaluating import supernet_evaluator
        from nas.pipeline.load_data import load_run_data
        from nas.pipeline.training import TrainedSupernet, set_threads
        from nas.supernet.supernet import Supernet

        origin.enter()
        plan: RunPlan = carried.open()
        set_threads(plan.settings)
        data = load_run_data(plan)
        check_images(data, card)
        scale = plan.settings.train.resolution_scale
        with warnings.catch_warnings():
            # The arrays lie in the machine's object store, shared by its workers and read-only; nobody writes.
            warnings.simplefilter("ignore")
            state = {name: torch.from_numpy(array) for name, array in weights.items()}
        supernet = Supernet.loaded(plan.space, data.classes, scale, state)
        self._space = plan.space
        self._evaluator = supernet_evaluator(plan, TrainedSupernet(supernet, card), data)

    def ready(self) -> int:
        """Its process, once it can evaluate."""
        return os.getpid()

    def look(self, arch: dict[str, Any]) -> dict[str, Metric]:
        """Metrics of one architecture by a cheap look."""
        return self._evaluator.look(self._space.encode([arch])[0])

    def evaluate(self, arch: dict[str, Any]) -> tuple[dict[str, Metric], float]:
        """Metrics of one architecture, and the seconds it took."""
        begun = time.monotonic()
        metrics = self._evaluator.evaluate(self._space.encode([arch])[0])
        return metrics, time.monotonic() - begun


class RayPool:
    """A `Pool` of Ray actors.

    Args:
        evaluator: the driver's own, which looks at what a worker died of looking at.
    """

    def __init__(
        self,
        ray: Any,
        plan: RunPlan,
        trained: TrainedSupernet,
        evaluator: Evaluator,
        workers: Workers,
        reporter: Reporter,
    ) -> None:
        self.capacity, self.asynchronous = workers.count, workers.asynchronous
        self._ray, self._workers, self._reporter = ray, workers, reporter
        self._evaluator = evaluator
        weights = {name: tensor.cpu().numpy() for name, tensor in trained.supernet.state_dict().items()}
        self._parts = (
            ray.put(Carried.of(plan.bare())),
            ray.put(trained.card),
            ray.put(weights),
            Origin.here(),
        )
        self._actor = ray.remote(num_cpus=1, max_restarts=0)(_Worker)
        self._check_room(plan.settings.threads)
        self.actors = [self._new() for _ in range(workers.count)]
        self._wait_until_ready()
        # Two each: the second waits in the worker's own queue while the driver is busy asking the strategy.
        self._idle = [*self.actors, *self.actors]
        self._queue: list[Arch] = []
        self._running: dict[Any, tuple[Arch, Any]] = {}
        self._starting: dict[Any, Any] = {}
        self._failures: dict[str, int] = {}
        self._turns: dict[str, int] = {}
        self._clock = count()

    def submit(self, arch: Arch) -> None:
        """Hand an architecture to a worker, or queue it until one is free."""
        self._queue.append(arch)
        self._dispatch()

    def next(self) -> Evaluated:
        """Wait for the next result; a candidate whose worker died is tried again first."""
        while True:
            done = self._wait()
            if done in self._starting:
                self._welcome(done)
                continue
            arch, actor = self._running.pop(done)
            try:
                metrics, wall_s = self._ray.get(done)
            except self._ray.exceptions.RayTaskError as error:
                raise NasError(f"a worker could not evaluate {arch.id}: {error.cause}") from None
            except ConnectionError as error:
                raise NasError(
                    f"the connection to Ray was lost: {error}. The study can be resumed."
                ) from None
            except self._ray.exceptions.RayError:
                lost = self._replace(arch, actor)
                if lost is not None:
                    return lost
                continue
            self._idle.append(actor)
            self._dispatch()
            return Evaluated(arch.id, metrics, wall_s)

    def look(self, batch: ArchBatch) -> list[Mapping[str, Metric]]:
        """Spread over the workers, behind what each of them is evaluating."""
        ready = [actor for actor in self.actors if actor not in self._starting.values()]
        if not ready:
            return [self._evaluator.look(arch) for arch in batch]
        tasks = [actor.look.remote(dict(arch.values)) for arch, actor in zip(batch, cycle(ready))]
        return [self._looked(arch, task) for arch, task in zip(batch, tasks, strict=True)]

    def _looked(self, arch: Arch, task: Any) -> Mapping[str, Metric]:
        try:
            return dict(self._ray.get(task))
        except self._ray.exceptions.RayTaskError as error:
            raise NasError(f"a worker could not look at {arch.id}: {error.cause}") from None
        except ConnectionError as error:
            raise NasError(f"the connection to Ray was lost: {error}. The study can be resumed.") from None
        except self._ray.exceptions.RayError:  # the worker is lost; `next` replaces it
            return self._evaluator.look(arch)

    def _wait(self) -> Any:
        """The task that is done first: an evaluation, or the start of a replacement.

        Raises:
            NasError: no worker is left, and none starts.
        """
        tasks = [*self._running, *self._starting]
        done, _ = self._ray.wait(tasks, num_returns=1, timeout=None if self._running else READY_S)
        if done:
            return done[0]
        raise NasError(
            f"all workers died, and no replacement started within {READY_S:g} s; `ray status` tells what the cluster "
            "waits for. The study can be resumed."
        )

    def _welcome(self, start: Any) -> None:
        """A replacement gets work once it can evaluate; until then the others do all of it."""
        actor = self._starting.pop(start)
        try:
            self._ray.get(start)
        except self._ray.exceptions.RayError as error:
            self.actors.remove(actor)
            reason = _reason(error)
            if not self.actors:
                raise NasError(f"all workers died, and no replacement could start: {reason}") from None
            self._reporter.warn(
                f"a replacement could not start; {len(self.actors)} workers are left: {reason}"
            )
            return
        self._idle += [actor, actor]
        self._dispatch()

    def _dispatch(self) -> None:
        while self._idle and self._queue:
            arch, actor = self._queue.pop(0), self._idle.pop(0)
            self._turns[arch.id] = next(self._clock)
            self._running[actor.evaluate.remote(dict(arch.values))] = (arch, actor)

    def _replace(self, arch: Arch, actor: Any) -> Evaluated | None:
        """A new worker for a lost one (killed, out of memory, out of reach), and its candidates queued again.

        Of those it had, the oldest was being evaluated; that one has failed if it did so too often.
        """
        mine = {task: one for task, (one, of) in self._running.items() if of is actor}
        for task in mine:
            del self._running[task]
        first, *rest = sorted([arch, *mine.values()], key=lambda one: self._turns[one.id])
        self.actors.remove(actor)
        self._idle = [one for one in self._idle if one is not actor]
        with suppress(Exception):  # it may have ended by itself
            self._ray.kill(actor)
        fresh = self._new()
        self.actors.append(fresh)
        self._starting[fresh.ready.remote()] = fresh
        failures = self._failures[first.id] = self._failures.get(first.id, 0) + 1
        given_up = failures > self._workers.max_failures
        if given_up:
            died = "a worker" if failures == 1 else f"{failures} workers"
            self._reporter.warn(f"{first.id}: {died} died evaluating it; it counts as failed")
        else:
            self._reporter.warn(
                f"a worker died evaluating {first.id}; it is replaced, the candidate tried again"
            )
        self._queue = [*([] if given_up else [first]), *rest, *self._queue]
        self._dispatch()
        return Evaluated(first.id, {}, 0.0) if given_up else None

    def _new(self) -> Any:
        return self._actor.remote(*self._parts)

    def _check_room(self, threads: int) -> None:
        room, wanted = check_room(self._ray, self._workers), self._workers.count
        if wanted * threads > room:
            self._reporter.say(
                f"{wanted} workers of {threads} threads each (setting 'threads') share {room} CPU"
            )

    def _wait_until_ready(self) -> None:
        try:
            self._ray.get([actor.ready.remote() for actor in self.actors], timeout=READY_S)
        except self._ray.exceptions.GetTimeoutError:
            raise NasError(
                f"the workers did not start within {READY_S:g} s; is the cluster busy with something else?"
            ) from None
        except self._ray.exceptions.RayError as error:
            raise NasError(f"a worker could not start: {_reason(error)}") from None


def check_room(ray: Any, workers: Workers) -> int:
    """Processors of the cluster.

    Raises:
        NasError: fewer than there are to be workers.
    """
    room = int(ray.cluster_resources().get("CPU", 0))
    if workers.count > room:
        raise NasError(f"--n-workers {workers.count}: the cluster has {room} CPU, one for each worker.")
    if workers.training > room:
        raise NasError(f"--train-workers {workers.training}: the cluster has {room} CPU, one for each.")
    return room


def _reason(error: Exception) -> str:
    text = str(error).strip()
    if "OOM" in text:
        return "its machine is short of memory, so Ray ended it; fewer --n-workers take less."
    return text.splitlines()[-1]


@contextmanager
def ray_pool(
    plan: RunPlan, trained: TrainedSupernet, evaluator: Evaluator, workers: Workers, reporter: Reporter
) -> Iterator[RayPool]:
    """Workers for as long as the context lasts.

    Raises:
        NasError: no cluster there, too small for so many workers, or workers that cannot start.
    """
    with connected(workers.address) as ray:
        pool = RayPool(ray, plan, trained, evaluator, workers, reporter)
        reporter.say(f"{workers.count} workers on {len(alive(ray))} machine(s)")
        try:
            yield pool
        finally:
            for actor in pool.actors:
                with suppress(Exception):  # its machine, or the connection to it, may be gone
                    ray.kill(actor)
