"""`nas teach`: what teachers say of the images of a training, stored so that it trains without them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nas.cli.output import QuietOption, echo, say_stopped
from nas.shell import command_line

if TYPE_CHECKING:
    from nas.pipeline.data import RunData
    from nas.pipeline.job import Job
    from nas.pipeline.progress import Reporter


def teach(
    what: Annotated[
        str, typer.Argument(help="What will be trained: a space, or SPACE:PRESET.", metavar="SPACE[:PRESET]")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder to store them in.", metavar="FOLDER")
    ],
    teacher: Annotated[
        list[str] | None,
        typer.Option(
            help="retrained:SPACE:PRESET, or PREFIX:REST of a plug-in; repeat for several.", metavar="NAME"
        ),
    ] = None,
    top: Annotated[int, typer.Option(help="Classes stored of each image.", min=1)] = 10,
    data: Annotated[
        str | None, typer.Option(help="digits, numbers, shapes, imagefolder:PATH or hf:NAME.", metavar="SPEC")
    ] = None,
    recipe: Annotated[str | None, typer.Option(help="embedded (default) or paper.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of the training.", min=0)] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="As the training will be given them: train.steps, …", metavar="KEY=VALUE"),
    ] = None,
    quiet: QuietOption = False,
) -> None:
    """Run teachers once over the images of a training and store their most likely classes, 4 bytes each.

    Train with it by giving 'nas run' or 'nas retrain' the same settings and --set train.logits=FOLDER.
    """
    from nas.pipeline.job import Interrupted
    from nas.pipeline.progress import ConsoleReporter, Interrupt, Silent
    from nas.pipeline.teachers import teachers
    from nas.pipeline.teaching import teach as run

    reporter: Reporter = Silent() if quiet else ConsoleReporter()
    assignments = [*(set_ or ()), *([f"seed={seed}"] if seed is not None else [])]
    job, loaded = _training(what, recipe or "embedded", assignments, data)
    names = list(dict.fromkeys(teacher or ()))
    networks = dict(zip(names, teachers(names)))
    stop = Interrupt()
    try:
        with stop:
            about = run(job, loaded, networks, top, output, reporter, stop)
    except Interrupted as stopped:
        again = command_line(["nas", *sys.argv[1:]], [], None)
        say_stopped(f"{stopped}. Continue with:\n  {again}")
        raise typer.Exit(stop.status) from None
    size = 4 * about.steps * about.batch * about.top
    echo(
        f"{output}: {about.top} of {about.classes:,} classes for {about.steps:,} steps of {about.batch} images, "
        f"{size:,} bytes. Train with --set train.logits={output} and the same settings."
    )


def _training(what: str, recipe: str, assignments: list[str], data: str | None) -> tuple[Job, RunData]:
    """What will be trained, and its data."""
    from nas.pipeline.load_data import load_run_data
    from nas.pipeline.presets import find_preset, is_preset
    from nas.pipeline.retraining import prepare_preset
    from nas.pipeline.run import planned
    from nas.pipeline.training import SupernetJob, set_threads

    if is_preset(what):
        return prepare_preset(find_preset(what), None, recipe, assignments, data)
    plan, _ = planned(
        what, recipe=recipe, settings=assignments, data=data, objectives=["accuracy:max", "macs:min"]
    )
    set_threads(plan.settings)
    return SupernetJob(plan), load_run_data(plan)
