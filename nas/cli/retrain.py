"""`nas retrain`: a found architecture trained alone."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from nas.cli.output import (
    Format,
    FormatOption,
    QuietOption,
    SpaceFileOption,
    StorageOption,
    echo,
    echo_json,
    say_stopped,
)
from nas.shell import command_line, resumed

if TYPE_CHECKING:
    from nas.cli.lookup import Found
    from nas.metrics import Metric
    from nas.pipeline.load_data import LoadedData
    from nas.pipeline.progress import Reporter
    from nas.pipeline.retrained import Retrained
    from nas.pipeline.retraining import RetrainJob
    from nas.scale.workers import Workers
    from nas.store import Storage


class Start(StrEnum):
    """Weights to begin with."""

    scratch = "scratch"
    inherited = "inherited"


def retrain(
    trial: Annotated[
        str,
        typer.Argument(
            help="An arch id, the beginning of one, STUDY/NUMBER, or SPACE:PRESET without a study.",
            metavar="TRIAL",
        ),
    ],
    start: Annotated[
        Start | None, typer.Option("--from", help="Begin with new weights (default) or with the supernet's.")
    ] = None,
    init: Annotated[
        str | None,
        typer.Option(
            "--init",
            help="Begin with FILE.safetensors, a .pth file of weights, or timm:NAME.",
            metavar="WEIGHTS",
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="Of SPACE:PRESET: digits, numbers, shapes, imagefolder:PATH or hf:NAME.", metavar="SPEC"
        ),
    ] = None,
    recipe: Annotated[str | None, typer.Option(help="Of SPACE:PRESET: embedded (default) or paper.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="train.*, evaluate.*, seed or threads, else as in the study.", metavar="KEY=VALUE"
        ),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted retraining.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Begin again where there is one.")] = False,
    ray: Annotated[
        str | None,
        typer.Option(help="Train by Ray: local, auto, HOST:PORT or ray://HOST:PORT.", metavar="ADDRESS"),
    ] = None,
    train_workers: Annotated[
        int | None, typer.Option(help="With --ray: processes that train together; by default 2.", min=2)
    ] = None,
    space: SpaceFileOption = None,
    storage: StorageOption = None,
    form: FormatOption = Format.table,
    quiet: QuietOption = False,
) -> None:
    """Train a trial's network alone with the study's recipe, and store its accuracy beside the inherited one.

    SPACE:PRESET, e.g. efficientformer:L1, is trained without a study.
    """
    from nas.errors import NasError
    from nas.pipeline.presets import find_preset, is_preset
    from nas.pipeline.progress import ConsoleReporter, Silent
    from nas.pipeline.retraining import prepare, prepare_preset, store
    from nas.scale.workers import Workers
    from nas.store import Storage

    if resume and overwrite:
        raise NasError("--resume goes on and --overwrite begins again; give one of them.")
    if train_workers and ray is None:
        raise NasError("--train-workers: only Ray heeds that; give --ray local (or an address).")
    if init is not None and start is not None:
        raise NasError("--init and --from both say with which weights to begin; give one of them.")
    reporter: Reporter = Silent() if quiet else ConsoleReporter()
    workers = None if ray is None else Workers(ray, 1, training=train_workers or 2)
    if is_preset(trial):
        if start is Start.inherited:
            raise NasError(
                f"{trial} is no trial of a study: there is no supernet whose weights it could inherit."
            )
        preset = find_preset(trial)
        job, loaded = prepare_preset(preset, init, recipe or "embedded", set_ or (), data)
        done = _trained(job, loaded, reporter, workers, None, resume=resume, overwrite=overwrite)
        _print_preset(trial, job, done, form)
        return
    if data is not None or recipe is not None:
        raise NasError("--data and --recipe are the study's; they are given for SPACE:PRESET alone.")
    places = _trials(storage, trial)
    study = places[0].study
    values = {} if places[0].trial is None else dict(places[0].trial.arch)
    begin: Literal["scratch", "inherited"] = "inherited" if start is Start.inherited else "scratch"
    job, loaded = prepare(study, values, begin, set_ or (), space, init)
    opened = Storage(storage)
    done = _trained(job, loaded, reporter, workers, opened, resume=resume, overwrite=overwrite)
    store(opened, study, [place.trial.number for place in places if place.trial is not None], done)
    _print(places[0], done, form, storage)


def _trials(storage: str | None, wanted: str) -> list[Found]:
    from nas.cli.lookup import find_or_tell, in_study
    from nas.errors import NasError

    trials = [place for place in find_or_tell(storage, wanted) if place.trial is not None]
    if not trials:
        raise NasError(
            f"{wanted} is a preset, not a trial; retrained accuracies belong to trials. Without a study it is trained "
            "as SPACE:PRESET."
        )
    return in_study(trials, wanted)


def _trained(
    job: RetrainJob,
    data: LoadedData,
    reporter: Reporter,
    workers: Workers | None,
    storage: Storage | None,
    *,
    resume: bool,
    overwrite: bool,
) -> Retrained:
    """Train and say what is done; an interruption ends the command."""
    from nas.pipeline.job import Interrupted
    from nas.pipeline.lock import held
    from nas.pipeline.progress import Interrupt
    from nas.pipeline.retraining import retrain as run

    for line in job.told(data):
        reporter.say(line)
    if not resume:
        data.check(reporter)
    stop = Interrupt()
    try:
        with held(job.folder, f"{job.arch.id} is being retrained by another process."), stop:
            return run(
                job, data, reporter, stop, workers, storage=storage, resume=resume, overwrite=overwrite
            )
    except Interrupted as stopped:
        say_stopped(f"{stopped}. Continue with:\n  {resumed(sys.argv[1:], ['--overwrite'])}")
        raise typer.Exit(stop.status) from None


def _print_preset(preset: str, job: RetrainJob, done: Retrained, form: Format) -> None:
    if form is Format.json:
        answer = {"preset": preset, "arch_id": job.arch.id, "retrained": done.accuracy.to_json()}
        echo_json({**answer, "init": done.card.get("init"), "weights": str(done.weights)})
        return
    echo(f"accuracy {_shown(done.accuracy)}")
    echo(f"weights  {done.weights}")


def _print(place: Found, done: Retrained, form: Format, storage: str | None) -> None:
    assert place.trial is not None
    inherited = place.trial.at("final").get("accuracy") or place.trial.metrics.get("accuracy")
    if form is Format.json:
        echo_json(
            {
                "study": place.study.name,
                "trial": place.trial.number,
                "arch_id": place.arch_id,
                "retrained": done.accuracy.to_json(),
                "before": None if inherited is None else inherited.to_json(),
                "init": done.card.get("init"),
                "weights": str(done.weights),
            }
        )
        return
    echo(f"accuracy {_shown(done.accuracy)}")
    if inherited is not None:
        echo(f"before   {_shown(inherited)}")
    echo(f"weights  {done.weights}")
    line = command_line(["nas", "export", "--weights", "retrained"], [place.name], storage)
    echo(f"Next:\n  {line}", err=True)


def _shown(metric: Metric) -> str:
    from nas.report.units import interval, quantity

    return f"{quantity(metric.value, metric.unit)} ({interval(metric)}) {metric.provenance}, {metric.detail}"
