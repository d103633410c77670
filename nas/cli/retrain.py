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
    TrialArgument,
    echo_json,
)
from nas.shell import command_line, resumed

if TYPE_CHECKING:
    from nas.cli.lookup import Found
    from nas.metrics import Metric
    from nas.pipeline.retrained import Retrained


class Start(StrEnum):
    """Weights to begin with."""

    scratch = "scratch"
    inherited = "inherited"


def retrain(
    trial: TrialArgument,
    start: Annotated[
        Start, typer.Option("--from", help="Begin with new weights or with the supernet's.")
    ] = Start.scratch,
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
    """Train a trial's network alone with the study's recipe, and store its accuracy beside the inherited one."""
    from nas.cli.lookup import find, in_study
    from nas.errors import NasError
    from nas.pipeline.job import Interrupted
    from nas.pipeline.lock import held
    from nas.pipeline.progress import ConsoleReporter, Interrupt, Silent
    from nas.pipeline.retraining import prepare, store
    from nas.pipeline.retraining import retrain as run
    from nas.scale.workers import Workers
    from nas.store import Storage

    if resume and overwrite:
        raise NasError("--resume goes on and --overwrite begins again; give one of them.")
    if train_workers and ray is None:
        raise NasError("--train-workers: only Ray heeds that; give --ray local (or an address).")
    trials = [place for place in find(storage, trial) if place.trial is not None]
    if not trials:
        raise NasError(f"{trial} is a preset, not a trial; retrained accuracies belong to trials.")
    places = in_study(trials, trial)
    study, reporter = places[0].study, Silent() if quiet else ConsoleReporter()
    values = {} if places[0].trial is None else dict(places[0].trial.arch)
    begin: Literal["scratch", "inherited"] = "inherited" if start is Start.inherited else "scratch"
    job, data = prepare(study, values, begin, set_ or (), space)
    opened = Storage(storage)
    for line in job.told(data):
        reporter.say(line)
    if not resume:
        data.check(reporter)
    workers = None if ray is None else Workers(ray, 1, training=train_workers or 2)
    try:
        with held(job.folder, f"{job.arch.id} is being retrained by another process."), Interrupt() as stop:
            done = run(job, data, reporter, stop, workers, storage=opened, resume=resume, overwrite=overwrite)
    except Interrupted as stopped:
        typer.echo(
            f"stopped; {stopped}. Continue with:\n  {resumed(sys.argv[1:], ['--overwrite'])}", err=True
        )
        raise typer.Exit(130) from None
    numbers = [place.trial.number for place in places if place.trial is not None]
    store(opened, study, numbers, done)
    _print(places[0], done, form, storage)


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
                "weights": str(done.weights),
            }
        )
        return
    typer.echo(f"accuracy {_shown(done.accuracy)}")
    if inherited is not None:
        typer.echo(f"before   {_shown(inherited)}")
    typer.echo(f"weights  {done.weights}")
    line = command_line(["nas", "export", "--weights", "retrained"], [place.name], storage)
    typer.echo(f"Next:\n  {line}", err=True)


def _shown(metric: Metric) -> str:
    from nas.report.units import interval, quantity

    return f"{quantity(metric.value, metric.unit)} ({interval(metric)}) {metric.provenance}, {metric.detail}"
