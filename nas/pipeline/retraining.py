"""Retraining: the network of a found architecture trained alone, its accuracy stored beside the inherited one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from nas.accuracy.inherited import Evaluation, classify, recalibrate
from nas.errors import NasError
from nas.pipeline.beginning import tell_fates
from nas.pipeline.data import RunData, fingerprints
from nas.pipeline.job import Job, Keep, Outcome, train_here
from nas.pipeline.load_data import LoadedData, load_network_data
from nas.pipeline.logits import stored_logits
from nas.pipeline.plan import RunPlan, study_folder
from nas.pipeline.progress import Interrupt, Reporter
from nas.pipeline.retrained import Retrained, RetrainFolder, folder_of
from nas.pipeline.study_plan import plan_of, retraining_settings
from nas.pipeline.study_space import space_of
from nas.pipeline.teachers import teachers
from nas.pipeline.training import compute_device, load, set_threads
from nas.plugins.records import digests
from nas.space.batch import Arch
from nas.store import RETRAINING, SeriesPoint, Storage, StudyRow
from nas.supernet.checkpoint import Checkpointer
from nas.supernet.network import Network, build, layers_of
from nas.supernet.parallel import Group
from nas.supernet.precision import autocast, choose
from nas.supernet.single import Single, SingleSampler
from nas.supernet.trainer import StepReport, Trainer

if TYPE_CHECKING:
    from nas.pipeline.presets import NamedPreset
    from nas.scale.workers import Workers
    from nas.weights.filling import Row
    from nas.weights.initial import Initial

Start = Literal["scratch", "inherited"]
STAGE = "retrained"


@dataclass(frozen=True)
class RetrainJob(Job):
    """Training of one architecture's network.

    Attributes:
        study: whose architecture it is.
        initial: weights to begin with; None: new ones, drawn by the seed.
        given: weights from elsewhere to begin with, in the place of new ones.
    """

    plan: RunPlan
    arch: Arch
    start: Start
    initial: Mapping[str, Tensor] | None
    given: Initial | None = None
    name: str = "retraining"

    @property
    def folder(self) -> Path:
        """`nas-runs/STUDY/retrain/ARCH`."""
        return folder_of(self.plan.name, self.arch.id)

    def portable(self) -> RetrainJob:
        return replace(self, plan=self.plan.bare())

    def data(self) -> LoadedData:
        """At the resolution of the architecture."""
        return load_network_data(self.plan, self.arch)

    def trainer(self, data: RunData, group: Group | None = None) -> Trainer[Single]:
        settings = self.plan.settings
        return Trainer(
            Single(self.plan.space, self.arch, self.beginning(data)[0]),
            data.training(settings.train.batch),
            settings.train,
            SingleSampler(self.arch),
            seed=settings.seed,
            folder=Checkpointer(self.folder, f"{self.identity(data)}/{self.arch.id}/{self.start}"),
            teachers=teachers(settings.train.teachers),
            stored=stored_logits(settings, data, self.steps(data)),
            device=compute_device(),
            group=group,
        )

    def network(self, data: RunData, weights: Mapping[str, Tensor] | None) -> Network:
        """Its network with these weights; None: new ones."""
        settings, space = self.plan.settings, self.plan.space
        scale = settings.train.resolution_scale
        network = build(space, self.arch, num_classes=data.classes, seed=settings.seed, scale=scale)
        if weights is not None:
            network.load_state_dict(dict(weights))
        return network

    def beginning(self, data: RunData) -> tuple[Network, list[Row]]:
        """Its network as the training finds it, and what became of every weight from elsewhere."""
        network = self.network(data, self.initial)
        return network, [] if self.given is None else self.given.put_into(network)

    @property
    def series(self) -> str:
        """Name of its series in the storage."""
        return RETRAINING + self.arch.id

    def points(self, report: StepReport, trainer: Trainer[Single]) -> list[SeriesPoint]:
        data = {"loss": report.loss, "lr": report.lr, "skipped": report.skipped}
        return [SeriesPoint(self.series, report.step, data)]

    def finished(self, data: RunData, trainer: Trainer[Single]) -> Outcome:
        """Averaged weights with batch norms recalibrated as for a study's final numbers; what the training did."""
        trainer.average.copy_to(trainer.supernet)
        network, evaluate = trainer.supernet.network, self.plan.settings.evaluate
        seed = (int(self.arch.id, 16) + self.plan.settings.seed) % 2**63
        device = next(network.parameters()).device
        images = (x.to(device) for x in data.calibration(seed, evaluate.final_recalibrate, evaluate.batch))
        with torch.no_grad(), _autocast(self.plan, device):
            recalibrate(network, images)
        done = {
            "steps": trainer.total,
            "skipped": trainer.guard.skipped,
            "warnings": list(trainer.warnings),
        }
        return Outcome(network.cpu().state_dict(), done)

    def told(self, data: RunData) -> list[str]:
        """What is about to be trained, a line each."""
        settings = self.plan.settings.train
        scale = settings.resolution_scale
        first = layers_of(self.plan.space.lower(self.arch, scale=scale))[0].inputs[0]
        size = f"{first.h} px" if first.h == first.w else f"{first.h} × {first.w} px"
        origin = "new weights" if self.start == "scratch" else f"weights of study {self.plan.supernet!r}"
        if self.given is not None:
            origin = f"weights of {self.given.name}"
        whose = f"study {self.plan.name!r}" if self.plan.supernet is not None else self.plan.name
        return [
            f"retraining {self.arch.id} of {whose}, {origin}, {self.steps(data):,} steps",
            f"data {data.name}: {data.count('train'):,} training and {data.count('test'):,} test images, "
            f"{data.classes} classes; images of {size}, {scale:g} times the deployment resolution"
            + ("" if scale == 1 else " (train.resolution_scale=1 for all of it)"),
        ]

    def facts(self, data: RunData) -> dict[str, Any]:
        """What its outcome depends on, as plain data."""
        settings = self.plan.settings
        return {
            "version": 1,
            "study": self.plan.name,
            "space_hash": self.plan.space.hash,
            "arch_id": self.arch.id,
            "arch": dict(self.arch.values),
            "start": self.start if self.given is None else self.given.name,
            **(
                {}
                if self.given is None
                else {"init": {**self.given.identity(), "network": self.given.network}}
            ),
            "supernet": self.plan.supernet if self.start == "inherited" else None,
            "data": data.name,
            **fingerprints(data),
            "classes": data.classes,
            "plugins": digests(),
            "settings": settings.model_dump(exclude={"search", "objectives", "constraints", "recipe"}),
        }


def prepare(
    study: StudyRow,
    values: Mapping[str, Any],
    start: Start = "scratch",
    assignments: Sequence[str] = (),
    space_file: str | None = None,
    init: str | None = None,
) -> tuple[RetrainJob, LoadedData]:
    """What retraining an architecture of a study takes.

    Args:
        values: the architecture's decisions.
        assignments: settings changed, as of `--set`.
        space_file: where the space lies, if it is not found by the name the study has of it.
        init: weights from elsewhere to begin with: a path, or `timm:NAME`.

    Raises:
        NasError: the space has changed or has no networks, its data cannot be loaded, a setting is wrong, there is
            no supernet here whose weights could be inherited, or `init` are not this network's weights.
    """
    space, _ = space_of(study, space_file)
    if space.blueprint is None:
        raise NasError(f"space {space.name!r} has no network behind it; there is nothing to train.")
    plan = plan_of(study, space, retraining_settings(study, assignments))
    set_threads(plan.settings)
    arch = space.encode([values])[0]
    job = _beginning_with(init, RetrainJob(plan, arch, start, None))
    data = job.data()
    if start == "inherited":
        job = replace(job, initial=inherited_weights(plan, arch, data))
    return job, data


def prepare_preset(
    preset: NamedPreset,
    init: str | None,
    recipe: str = "embedded",
    assignments: Sequence[str] = (),
    data: str | None = None,
) -> tuple[RetrainJob, LoadedData]:
    """What training the network of a space's preset takes; without a study.

    Args:
        init: weights from elsewhere to begin with, a path or `timm:NAME`; None: new ones.
        data: its specification; None: the recipe's.

    Raises:
        NasError: a setting is wrong, the data cannot be loaded, or `init` are not this network's weights.
    """
    from nas.pipeline.presets import plan_of_preset

    plan = plan_of_preset(preset, recipe, assignments, data)
    set_threads(plan.settings)
    job = _beginning_with(init, RetrainJob(plan, preset.arch, "scratch", None), preset.name)
    return job, job.data()


def _beginning_with(init: str | None, job: RetrainJob, name: str = "") -> RetrainJob:
    from nas.weights.initial import initial_of_network

    if init is None:
        return job
    return replace(job, given=initial_of_network(job.plan.space, job.arch, init, name))


def inherited_weights(plan: RunPlan, arch: Arch, data: RunData) -> Mapping[str, Tensor]:
    """Weights of an architecture in the supernet of `plan.supernet`.

    Raises:
        NasError: no trained supernet there, or one for another resolution scale, data or space.
    """
    assert plan.supernet is not None
    trained = load(plan, study_folder(plan.supernet), data)
    return trained.supernet.extract(arch).state_dict()


def retrain(
    job: RetrainJob,
    data: RunData,
    reporter: Reporter,
    interrupt: Interrupt,
    workers: Workers | None = None,
    *,
    storage: Storage | None = None,
    resume: bool = False,
    overwrite: bool = False,
) -> Retrained:
    """Train the network of a job to its end and classify the test images; weights and card are written.

    Args:
        workers: Ray processes that train together; None: one process, here.
        storage: of the study, which is told loss and learning rate of every step; None: nobody is.
        resume: go on with a retraining that was interrupted, or take one that is finished.
        overwrite: begin again where there is one already.

    Raises:
        Interrupted: stopped by the user at a safe point; everything is saved.
        NasError: there is a retraining already, none to resume, or one with other settings.
    """
    place = RetrainFolder(job.folder)
    known = place.begin(job.facts(data), resume=resume, overwrite=overwrite)
    if known is not None:
        reporter.say(f"{job.folder}: this retraining is finished; nothing is left to train")
        return known
    if job.given is not None and not resume:
        tell_fates(job.beginning(data)[1], job.folder, reporter, job.given.note)
    keep = _keeper(job, storage, afresh=not resume)
    if workers is not None and workers.training > 1:
        from nas.scale.training import train_together

        outcome = train_together(job, data, workers, reporter, interrupt, keep)
    else:
        outcome = train_here(job, data, reporter, interrupt, keep)
    evaluation = _evaluated(job, data, outcome.weights)
    place.finish(outcome.weights, {**outcome.card, **asdict(evaluation)})
    Checkpointer(job.folder).clear()
    return place.read()


def store(storage: Storage, study: StudyRow, numbers: Sequence[int], retrained: Retrained) -> None:
    """Store the accuracy with trials of that architecture, stage `retrained`, in place of an earlier one."""
    metric = retrained.accuracy
    storage.add_metrics(study.id, STAGE, {number: {"accuracy": metric} for number in numbers})


def _evaluated(job: RetrainJob, data: RunData, weights: Mapping[str, Tensor]) -> Evaluation:
    network, device = job.network(data, weights), compute_device()
    batches = data.evaluation("test", job.plan.settings.evaluate.batch, 0)
    network.to(device).eval()
    with torch.no_grad(), _autocast(job.plan, device):
        return classify(network, ((x.to(device), y.to(device)) for x, y in batches))


def _autocast(plan: RunPlan, device: torch.device) -> torch.autocast:
    return autocast(choose(plan.settings.train.precision, device), device)()


def _keeper(job: RetrainJob, storage: Storage | None, *, afresh: bool) -> Keep:
    """Stores points of the training; `afresh`: in place of those of an earlier one."""
    if storage is None:
        return lambda points: None
    told, study_id = storage, storage.study(job.plan.name).id
    if afresh:
        told.drop_series(study_id, job.series)
    return lambda points: told.add_series(study_id, points)
