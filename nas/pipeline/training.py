"""The supernet of a run: trained, resumed, or taken from another study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from nas.errors import NasError
from nas.kept import is_there, write_record
from nas.kept_weights import WEIGHTS_HASH, read_weights, write_weights
from nas.pipeline.beginning import tell_fates
from nas.pipeline.data import RunData, changed_fingerprint, fingerprints
from nas.pipeline.job import Interrupted as Interrupted
from nas.pipeline.job import Job, Outcome, train_here
from nas.pipeline.logits import stored_logits
from nas.pipeline.plan import RunPlan, study_folder
from nas.pipeline.progress import Interrupt, Reporter
from nas.pipeline.supernet_card import CARD, WEIGHTS, anew, read_card
from nas.pipeline.teachers import teachers
from nas.plugins.compare import KEPT
from nas.plugins.records import SHOWN, digests
from nas.settings import RunSettings, TrainSettings
from nas.space.space import Space
from nas.store import SeriesPoint, Storage
from nas.supernet.checkpoint import Checkpointer
from nas.supernet.expected_latency import ExpectedLatency
from nas.supernet.parallel import Group
from nas.supernet.ranked_channels import rank_channels
from nas.supernet.sampling.base import SubnetSampler
from nas.supernet.sampling.complexity import BankSettings, ComplexitySampler
from nas.supernet.sampling.levels import levels_of
from nas.supernet.sampling.relaxed import RelaxedSampler
from nas.supernet.sampling.simple import SandwichSampler, UniformSampler
from nas.supernet.supernet import Supernet
from nas.supernet.trainer import StepReport, Trainer

if TYPE_CHECKING:
    from nas.pipeline.load_data import LoadedData
    from nas.scale.workers import Workers
    from nas.weights.initial import Initial


@dataclass(frozen=True)
class TrainedSupernet:
    """A supernet with its final weights, and what its training did."""

    supernet: Supernet
    card: dict[str, Any]

    @property
    def importance(self) -> dict[str, tuple[float, ...]]:
        """Importance of each position by stage; empty if it was not trained relaxed."""
        relaxation = self.supernet.relaxation
        return relaxation.importance() if relaxation is not None else {}


def obtain(
    plan: RunPlan,
    data: RunData,
    storage: Storage,
    study_id: int,
    reporter: Reporter,
    interrupt: Interrupt,
    workers: Workers | None = None,
) -> TrainedSupernet:
    """Finished weights of this run or of `plan.supernet`, else train (or go on training).

    Raises:
        Interrupted: stopped at a safe point.
        NasError: the other study's weights are missing or for another space or number of classes.
    """
    if plan.supernet is not None:
        reporter.say(f"supernet: trained weights of study {plan.supernet!r}, no training")
        return load(plan, study_folder(plan.supernet), data)
    if is_there(plan.folder / CARD):
        _check_own(plan)
        return load(plan, plan.folder, data)
    job = SupernetJob(plan)
    if plan.init is not None and plan.keeps:
        return _kept(plan, plan.init, job, data, reporter)
    if plan.init is not None:
        reporter.say(f"supernet: begins with {plan.init.name}, read as {plan.space.name}:{plan.init.network}")
        rows = plan.init.put_into(job.supernet(data, None))
        tell_fates(rows, plan.folder, reporter, plan.init.note)

    def keep(points: Sequence[SeriesPoint]) -> None:
        storage.add_series(study_id, points)

    if workers is not None and workers.training > 1:
        from nas.scale.training import train_together

        outcome = train_together(job, data, workers, reporter, interrupt, keep)
    else:
        outcome = train_here(job, data, reporter, interrupt, keep)
    save(outcome.weights, outcome.card, plan.folder)
    Checkpointer(plan.folder).clear()
    return load(plan, plan.folder, data)


def _kept(
    plan: RunPlan, init: Initial, job: SupernetJob, data: RunData, reporter: Reporter
) -> TrainedSupernet:
    """A supernet's weights from elsewhere, stored as this run's own, without any training."""
    reporter.say(f"supernet: the weights of {init.name} as they are; nothing is trained (train.init=keep)")
    supernet = job.supernet(data, plan.settings.seed)
    tell_fates(init.put_into(supernet), plan.folder, reporter, init.note)
    done = {"steps": 0, "skipped": 0, "sampler": {}, "warnings": []}
    save(supernet.state_dict(), {**_card(plan, data), **done}, plan.folder)
    return load(plan, plan.folder, data)


def check_kept(plan: RunPlan, data: LoadedData) -> None:
    """Weights that are not trained have to know the classes of the images.

    Raises:
        NasError: they tell others apart.
    """
    if plan.init is not None and plan.init.classes != data.classes:
        raise NasError(
            f"train.init=keep: the classifier of {plan.init.name} tells {plan.init.classes or 0:,} classes apart, "
            f"{data.name} has {data.classes:,}. Give images of the same classes, or train it: --set train.init=begin."
        )


@dataclass(frozen=True)
class SupernetJob(Job):
    """Training of a run's supernet."""

    plan: RunPlan
    name: str = "training"

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return self.plan.folder

    def portable(self) -> SupernetJob:
        bare = self.plan.bare()
        if self.plan.settings.train.relaxed.latency:  # whose expectation the training weighs
            bare = replace(bare, metrics=replace(bare.metrics, devices=self.plan.metrics.devices[:1]))
        return replace(self, plan=replace(bare, init=self.plan.init))

    def trainer(self, data: RunData, group: Group | None = None) -> Trainer[Supernet]:
        plan, settings = self.plan, self.plan.settings
        supernet = self.supernet(data, settings.seed)
        if plan.init is not None:
            plan.init.put_into(supernet)
        training = data.training(settings.train.batch)
        sampler = make_sampler(plan.space, settings.train, settings.seed, training.steps_per_epoch())
        return Trainer(
            supernet,
            training,
            settings.train,
            sampler,
            seed=settings.seed,
            folder=Checkpointer(self.folder, self.identity(data)),
            teachers=teachers(settings.train.teachers),
            stored=stored_logits(settings, data, self.steps(data)),
            device=compute_device(),
            group=group,
            latency=_expected_latency(plan, sampler),
        )

    def supernet(self, data: RunData, seed: int | None) -> Supernet:
        """A new supernet; `seed` None: without memory."""
        train = self.plan.settings.train
        relaxed, scale = train.sampler.name == "relaxed", train.resolution_scale
        return Supernet(self.plan.space, data.classes, resolution_scale=scale, seed=seed, relaxed=relaxed)

    def points(self, report: StepReport, trainer: Trainer[Supernet]) -> list[SeriesPoint]:
        return series_points(report, trainer.sampler, self.plan)

    def finished(self, data: RunData, trainer: Trainer[Supernet]) -> Outcome:
        """The supernet with its averaged weights, and its card.

        The channels of a relaxed one are ranked if it was trained at one width.
        """
        supernet, sampler = trainer.supernet, trainer.sampler
        trainer.average.copy_to(supernet)
        if isinstance(sampler, RelaxedSampler) and self.plan.settings.train.relaxed.widths == "one":
            rank_channels(supernet, sampler.largest)
        done = {
            "steps": trainer.total,
            "skipped": trainer.guard.skipped,
            "sampler": {**sampler.facts(), **relaxed_facts(supernet)},
            "warnings": trainer.warnings,
        }
        return Outcome(supernet.cpu().state_dict(), {**_card(self.plan, data), **done})


def _expected_latency(plan: RunPlan, sampler: SubnetSampler) -> ExpectedLatency | None:
    """What a relaxed training with a weight on latency needs of the first device."""
    if not isinstance(sampler, RelaxedSampler) or not plan.settings.train.relaxed.latency:
        return None
    return ExpectedLatency(plan.space, plan.metrics.devices[0].unit_times, sampler.largest)


def series_points(report: StepReport, sampler: SubnetSampler, plan: RunPlan) -> list[SeriesPoint]:
    """What the storage keeps of a step."""
    from nas.costs.counts import plan_for

    batch = plan.space.encode([subnet.arch for subnet in report.subnets])
    macs = plan_for(plan.space)(batch)["macs"]
    level = report.subnets[-1].level
    values = sampler.levels.macs if isinstance(sampler, ComplexitySampler) else ()
    data: dict[str, Any] = {
        "loss": report.loss,
        "lr": report.lr,
        "level": values[level] if 0 <= level < len(values) else None,
        "losses": list(report.losses),
        "macs": [float(value) for value in macs],
        "roles": [subnet.role for subnet in report.subnets],
        "skipped": report.skipped,
    }
    points = [SeriesPoint("train", report.step, data)]
    if report.cosine is not None:
        a, b, cosine = report.cosine
        pair = plan_for(plan.space)(plan.space.encode([a, b]))["macs"]
        conflict = {"cosine": cosine, "macs_a": float(pair[0]), "macs_b": float(pair[1])}
        points.append(SeriesPoint("conflict", report.step, conflict))
    return points


def make_sampler(space: Space, settings: TrainSettings, seed: int, steps_per_epoch: int) -> SubnetSampler:
    """The subnet sampler that the settings name.

    Raises:
        NasError: too few subnets for it, or a space that it cannot sample.
    """
    rng = np.random.default_rng([seed, 2])
    chosen = settings.sampler
    if chosen.name == "uniform":
        return UniformSampler(space, chosen.subnets, rng)
    if chosen.name == "sandwich":
        return SandwichSampler(space, chosen.subnets, rng, chosen.drop_path)
    if chosen.name == "relaxed":
        return RelaxedSampler(space, chosen.subnets, rng, settings.relaxed)
    banks = BankSettings(**chosen.banks.model_dump()) if chosen.name == "performance" else None
    return ComplexitySampler(
        space,
        levels_of(space),
        chosen.subnets,
        rng,
        policy=chosen.policy,
        banks=banks,
        steps_per_epoch=0 if settings.steps else steps_per_epoch,
    )


def compute_device() -> torch.device:
    """The GPU if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _card(plan: RunPlan, data: RunData) -> dict[str, Any]:
    """What a supernet was made for and with, apart from what its training did."""
    return {
        "version": 1,
        "space": plan.space.name,
        "space_hash": plan.space.hash,
        "classes": data.classes,
        "data": data.name,
        **fingerprints(data),
        "data_spec": plan.settings.data.spec,
        "resolution_scale": plan.settings.train.resolution_scale,
        "seed": plan.settings.seed,
        **({} if plan.init is None else {"init": plan.init.facts()}),
        "train": plan.settings.train.model_dump(),
        "plugins": digests(),
    }


def relaxed_facts(supernet: Supernet) -> dict[str, float]:
    """Where the logits of a relaxed training ended: mean probability of identity, and the temperature."""
    if supernet.relaxation is None:
        return {}
    return {
        "identity": supernet.relaxation.identity(),
        "temperature": float(supernet.relaxation.temperature),
    }


def save(weights: Mapping[str, torch.Tensor], card: Mapping[str, Any], folder: Path) -> None:
    """Weights as safetensors, then the card with their hash: its presence says that they are whole.

    Raises:
        NasError: one of them cannot be written.
    """
    stated = write_weights(folder / WEIGHTS, weights)
    write_record(folder / CARD, {**card, WEIGHTS_HASH: stated}, indent=1)


def _check_own(plan: RunPlan) -> None:
    """A study's folder holds what its own training left, unless somebody put another's files there.

    Raises:
        NasError: another seed, or another training.
    """
    card, train = read_card(plan.folder), plan.settings.train.model_dump()
    here = {"seed": plan.settings.seed, **{f"train.{key}": value for key, value in train.items()}}
    then = {"seed": card["seed"], **{f"train.{key}": value for key, value in card.get("train", {}).items()}}
    for key in sorted(here.keys() & then.keys()):
        if here[key] != then[key] and not key.startswith("train.checkpoint_"):
            raise NasError(
                f"{plan.folder / CARD}: the card of another training: its {key} is {then[key]!r}, this study's is "
                f"{here[key]!r}. {anew(plan.folder)}"
            )


def check_card(plan: RunPlan, folder: Path, data: RunData) -> dict[str, Any]:
    """The card of the trained supernet in a study's folder.

    Raises:
        NasError: no weights there, or weights of another space, data set or images, number of classes or resolution.
    """
    card = read_card(folder)
    wanted = {
        "space_hash": plan.space.hash,
        "classes": data.classes,
        "data": data.name,
        "resolution_scale": plan.settings.train.resolution_scale,
    }
    for key, value in wanted.items():
        if card[key] != value:
            raise NasError(
                f"{folder}: its supernet was trained with {key} {card[key]!r}, this run has {value!r}."
            )
    _check_plugins(folder, card)
    changed = changed_fingerprint(data, card)
    if changed is not None:
        what = {"content": "names and lengths", "digest": "contents"}[changed]
        raise NasError(
            f"{folder}: its supernet was trained on other images of {data.name} than there are now: the fingerprint of "
            f"their files' {what} was {card[changed]!r}, is {fingerprints(data)[changed]!r}. Put the images back as "
            "they were, or train anew under another --study-name."
        )
    return card


def _check_plugins(folder: Path, card: Mapping[str, Any]) -> None:
    """A block that computes something else has no use for weights that were trained for the one it was."""
    now = digests()
    for name, then in card.get("plugins", {}).items():
        if now.get(name, then) != then:
            raise NasError(
                f"{folder}: its supernet was trained with the plug-in {name} of sha256 {then[:SHOWN]}, this is "
                f"{now[name][:SHOWN]}. As it was, it lies in {folder / KEPT}; or train anew under another --study-name."
            )


def load(plan: RunPlan, folder: Path, data: RunData) -> TrainedSupernet:
    """A trained supernet from a study's folder; see `check_card`.

    Raises:
        NasError: its files are missing, damaged, or of something else.
    """
    card = check_card(plan, folder, data)
    weights = read_weights(folder / WEIGHTS, card, anew(folder))
    try:
        supernet = Supernet.loaded(plan.space, data.classes, plan.settings.train.resolution_scale, weights)
    except RuntimeError as error:
        wrong = " ".join(line.strip() for line in str(error).splitlines()[1:2])
        raise NasError(
            f"{folder / WEIGHTS}: not the weights of this supernet ({wrong}). {anew(folder)}"
        ) from None
    return TrainedSupernet(supernet, card)


def set_threads(settings: RunSettings) -> None:
    """PyTorch's threads, which a run's results depend on bit for bit."""
    torch.set_num_threads(settings.threads)
