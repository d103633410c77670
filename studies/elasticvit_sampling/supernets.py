"""One supernet of the study: trained, watched while it trains, its subnets' accuracies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from protocol import COMPARED, GROUP_LEVELS, Judge, Scale, judged, judges, plan_of, sampler_of
from tables import Cells, Row, read_rows, write_rows

from nas.costs.counts import plan_for
from nas.pipeline.evaluating import supernet_evaluator
from nas.pipeline.load_data import LoadedData, load_run_data
from nas.pipeline.plan import RunPlan
from nas.pipeline.training import TrainedSupernet, compute_device
from nas.space.batch import Arch
from nas.supernet.checkpoint import Checkpointer
from nas.supernet.conflict import gradient_cosines
from nas.supernet.sampling.complexity import ComplexitySampler, exploitation
from nas.supernet.supernet import Supernet
from nas.supernet.trainer import Trainer

WATCHED_STEPS = 8


def run_supernet(scale: Scale, sampler: str, seed: int, folder: Path) -> None:
    """Train a supernet and write `course`, `cosines` and, last, `accuracy` of `SAMPLER-SEED`; goes on where it was."""
    plan = plan_of(scale, sampler, seed)
    data = load_run_data(plan)
    trainer = trainer_of(plan, data, sampler, seed, folder)
    watch = Watch(scale, plan, data, sampler, seed, folder)
    trainer.resume()
    watch.forget_after(trainer.step)
    watch.look(trainer)
    for report in trainer.steps():
        if watch.due(report.step + 1):
            watch.look(trainer)
            trainer.save()
    trainer.average.copy_to(trainer.supernet)
    write_rows(
        folder / f"{plan.name}.accuracy.csv", list(accuracies(plan, data, trainer.supernet, sampler, seed))
    )
    trainer.checkpoints.clear()


def trainer_of(plan: RunPlan, data: LoadedData, sampler: str, seed: int, folder: Path) -> Trainer[Supernet]:
    """A trainer with the initial weights of `seed`."""
    settings = plan.settings.train
    return Trainer(
        Supernet(plan.space, data.classes, resolution_scale=settings.resolution_scale, seed=seed),
        data.training(settings.batch),
        settings,
        sampler_of(plan, sampler, seed),
        seed=seed,
        folder=Checkpointer(folder / plan.name),
        device=compute_device(),
    )


def accuracies(plan: RunPlan, data: LoadedData, supernet: Supernet, sampler: str, seed: int) -> Iterator[Row]:
    """Test accuracy of every judge with inherited weights, batch norms recalibrated."""
    evaluate = supernet_evaluator(plan, TrainedSupernet(supernet, {}), data).finishing
    supernet.requires_grad_(False)
    for judge in judges(plan.space):
        yield {"sampler": sampler, **judged(judge, seed, evaluate(judge.arch))}


class Watch:
    """What is written down while a supernet trains: a function of the trainer's state at a few steps.

    Args:
        folder: of the pieces' files.
    """

    def __init__(
        self, scale: Scale, plan: RunPlan, data: LoadedData, sampler: str, seed: int, folder: Path
    ) -> None:
        self.scale, self.plan, self.sampler, self.seed = scale, plan, sampler, seed
        self.course_file = folder / f"{plan.name}.course.csv"
        self.cosines_file = folder / f"{plan.name}.cosines.csv"
        self.course: list[Row] = []
        self.cosines: list[Row] = []
        images, labels = next(data.evaluation("search", scale.gradient_images, scale.gradient_images))
        device = compute_device()
        self.images, self.labels = images.to(device), labels.to(device)
        self.fixed = compared(judges(plan.space))

    def due(self, step: int) -> bool:
        """Whether `step` is one of the points, the last step among them."""
        return _is_point(step, self.scale.steps, self.scale.points)

    def forget_after(self, step: int) -> None:
        """Read what was written up to a step, for a training that goes on there."""
        self.course = _until(self.course_file, step)
        self.cosines = _until(self.cosines_file, step)

    def look(self, trainer: Trainer[Supernet]) -> None:
        """Write down what is to be seen now, if it is not there yet."""
        step = trainer.step
        if any(int(str(row["step"])) == step for row in self.course):
            return
        if step and _is_point(step, self.scale.steps, self.scale.gradient_points):
            self.cosines += self._compared(trainer)
            write_rows(self.cosines_file, self.cosines)
        self.course += self._seen(trainer)
        write_rows(self.course_file, self.course)

    def _seen(self, trainer: Trainer[Supernet]) -> list[Row]:
        common = {"sampler": self.sampler, "seed": self.seed, "step": trainer.step}
        chosen = trainer.sampler
        if not isinstance(chosen, ComplexitySampler):
            return [{**common, "level": "", "visits": "", **_NOTHING}]
        tally, rows = chosen.tally, list[Row]()
        for macs, visits, bank in zip(chosen.levels.macs, tally.levels, chosen.banks):
            scores = np.array(bank.scores)
            counts = {
                "draws": tally.draws,
                "exploited": tally.exploited,
                "preferred": tally.preferred,
                "rescored": tally.rescored,
                "beta": exploitation(trainer.step, trainer.total) if chosen.settings else 0.0,
                "entries": len(bank.archs),
                "capacity": bank.capacity,
                "best": float(scores.max()) if len(scores) else "",
                "mean": float(scores.mean()) if len(scores) else "",
            }
            rows.append({**common, "level": int(macs), "visits": visits, **counts})
        return rows

    def _compared(self, trainer: Trainer[Supernet]) -> list[Row]:
        rows = self._pairs(trainer, "fixed", self.fixed)
        for turn in range(WATCHED_STEPS):
            twin = sampler_of(self.plan, self.sampler, 1000 * (self.seed + 1) + trainer.step + turn)
            twin.restore(trainer.sampler.state())
            if isinstance(twin, ComplexitySampler):
                twin.level = turn % len(twin.levels.macs)  # one level's draws would say little of the others'
            drawn = twin.draw(trainer.step, trainer.total)
            rows += self._pairs(trainer, f"step {turn}", [subnet.arch for subnet in drawn])
        return rows

    def _pairs(self, trainer: Trainer[Supernet], which: str, archs: Sequence[Arch]) -> list[Row]:
        cosines = gradient_cosines(trainer.supernet, self.images, self.labels, archs)
        macs = plan_for(self.plan.space)(self.plan.space.encode(archs))["macs"].astype(int)
        common = {"sampler": self.sampler, "seed": self.seed, "step": trainer.step, "pairs": which}
        return [
            {**common, "macs_a": int(macs[a]), "macs_b": int(macs[b]), "cosine": float(cosines[a, b])}
            for a in range(len(archs))
            for b in range(a)
            if archs[a] != archs[b]
        ]


_NOTHING: Row = dict.fromkeys(
    ("draws", "exploited", "preferred", "rescored", "beta", "entries", "capacity", "best", "mean"), ""
)


def compared(found: Sequence[Judge]) -> list[Arch]:
    """The judges whose gradients are compared: every second one of each group."""
    return [judge.arch for group in GROUP_LEVELS for judge in _of(found, group)[::COMPARED]]


def _of(found: Sequence[Judge], group: str) -> list[Judge]:
    return [judge for judge in found if judge.group == group]


def _is_point(step: int, total: int, points: int) -> bool:
    return (step * points) // total != ((step - 1) * points) // total


def _until(path: Path, step: int) -> list[Row]:
    rows: list[Cells] = read_rows(path) if path.is_file() else []
    return [row for row in rows if int(row["step"]) <= step]
