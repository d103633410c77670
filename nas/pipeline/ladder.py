"""The last rung of an evaluation ladder: a search's best candidates trained alone, from the weights they inherit."""

from __future__ import annotations

from dataclasses import replace

from nas.errors import NasError
from nas.pipeline.data import RunData
from nas.pipeline.plan import RunPlan
from nas.pipeline.progress import Interrupt, Reporter
from nas.pipeline.retrained import RetrainFolder
from nas.pipeline.retraining import RetrainJob, inherited_weights, retrain, store
from nas.pipeline.study_plan import plan_of, retraining_settings
from nas.search.strategies import Strategy
from nas.space.batch import Arch
from nas.store import Storage


def climb(
    plan: RunPlan, strategy: Strategy, storage: Storage, reporter: Reporter, interrupt: Interrupt
) -> None:
    """Train the strategy's finalists and store their accuracies on test images, stage `retrained`.

    A finalist whose folder holds a retraining of the user's own, with other settings, keeps that one; it is told.

    Raises:
        Interrupted: stopped by the user at a safe point; what is trained is not trained again.
    """
    finalists, steps = strategy.finalists()
    study = storage.study(plan.name)
    numbers = {trial.arch_id: trial.number for trial in storage.trials(study.id)}
    for arch in finalists:
        job = _job(plan, storage, arch, steps)
        data = job.data()
        begun = RetrainFolder(job.folder).begun
        if begun and _is_another(job, data):
            reporter.warn(
                f"short training of {arch.id} left out: {job.folder} holds a retraining with other settings, which "
                "stays. To train as the search does, move that folder away and repeat the command with --resume."
            )
            continue
        job = replace(job, initial=inherited_weights(job.plan, arch, data))
        reporter.say(f"short training of {arch.id}, {steps:,} steps from inherited weights")
        done = retrain(job, data, reporter, interrupt, storage=storage, resume=begun)
        store(storage, study, [numbers[arch.id]], done)


def _job(plan: RunPlan, storage: Storage, arch: Arch, steps: int) -> RetrainJob:
    study = storage.study(plan.name)
    settings = retraining_settings(study, [f"train.steps={steps}"])
    return RetrainJob(plan_of(study, plan.space, settings), arch, "inherited", None)


def _is_another(job: RetrainJob, data: RunData) -> bool:
    """Whether the retraining in the job's folder was begun with something else."""
    try:
        RetrainFolder(job.folder).begin(job.facts(data), resume=True, overwrite=False)
    except NasError:
        return True
    return False
