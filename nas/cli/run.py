"""`nas run`: from a space to a Pareto front."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nas.cli.front import front
from nas.cli.output import echo, say_stopped
from nas.shell import command_line, resumed

if TYPE_CHECKING:
    from nas.study import Study


def run(
    space: Annotated[str, typer.Argument(help="A space's name or file.", metavar="SPACE")],
    device: Annotated[
        list[str] | None,
        typer.Option("--device", help="Device to search for; repeat for several. Without: MACs."),
    ] = None,
    recipe: Annotated[str, typer.Option(help="embedded (minutes, no data needed) or paper.")] = "embedded",
    data: Annotated[
        str | None, typer.Option(help="digits, numbers, shapes, imagefolder:PATH or hf:NAME.", metavar="SPEC")
    ] = None,
    objectives: Annotated[
        list[str] | None,
        typer.Option(help="e.g. 'accuracy:max latency:min'; repeat, or separate by spaces.", metavar="TEXT"),
    ] = None,
    constraint: Annotated[
        list[str] | None, typer.Option("--constraint", help="e.g. 'latency<=20ms'; repeat.", metavar="TEXT")
    ] = None,
    require: Annotated[
        list[str] | None,
        typer.Option("--require", help="A named requirement of the space; repeat.", metavar="NAME"),
    ] = None,
    strategy: Annotated[
        str | None,
        typer.Option(
            help="predictor, nsga2, nsga2:elasticvit, random, slimming, contraction, exact, generative, "
            "nevergrad:OPTIMIZER."
        ),
    ] = None,
    n_trials: Annotated[int | None, typer.Option(help="Real evaluations of the search.", min=1)] = None,
    accuracy: Annotated[str, typer.Option(help="supernet, or table:FILE.csv#COLUMN.")] = "supernet",
    latency: Annotated[str | None, typer.Option(help="table:FILE.csv#COLUMN instead of a device.")] = None,
    supernet: Annotated[
        str | None, typer.Option(help="Study whose trained weights are used; no training.", metavar="STUDY")
    ] = None,
    init: Annotated[
        str | None,
        typer.Option(
            "--init",
            help="Begin the supernet with FILE.safetensors, a .pth file of weights, or timm:NAME.",
            metavar="WEIGHTS",
        ),
    ] = None,
    warm_start: Annotated[
        list[str] | None,
        typer.Option(
            "--warm-start", help="Evaluate the front of this study first; repeatable.", metavar="STUDY"
        ),
    ] = None,
    enqueue: Annotated[
        list[str] | None,
        typer.Option(
            "--enqueue",
            help="Evaluate this network first: STUDY/NUMBER, or a YAML file of decisions; repeatable.",
            metavar="NETWORK",
        ),
    ] = None,
    study_name: Annotated[str | None, typer.Option(help="By default SPACE-DEVICE.")] = None,
    storage: Annotated[
        str | None, typer.Option(help="Database URL.", envvar="NAS_STORAGE", show_default="sqlite:///nas.db")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of everything random.", min=0)] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the study of that name.")] = False,
    timeout: Annotated[
        float | None, typer.Option(help="Seconds after which no further batch of trials is begun.", min=0)
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Any setting, e.g. train.steps=100; repeat.", metavar="KEY=VALUE"),
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(
            help="Evaluate by Ray workers: local, auto, HOST:PORT or ray://HOST:PORT.", metavar="ADDRESS"
        ),
    ] = None,
    n_workers: Annotated[int, typer.Option(help="Ray workers.", min=1)] = 1,
    train_workers: Annotated[
        int, typer.Option(help="With --ray: processes that train the supernet together.", min=1)
    ] = 1,
    max_failures: Annotated[
        int, typer.Option(help="How often a candidate is tried again after its worker died.", min=0)
    ] = 3,
    synchronous: Annotated[
        bool,
        typer.Option(
            "--synchronous", help="With --ray: whole batches, the same candidates as without workers."
        ),
    ] = False,
    measure: Annotated[
        bool, typer.Option("--measure", help="Time the front on the device, one made by nas device profile.")
    ] = False,
    via: Annotated[
        str,
        typer.Option(
            help="With --measure: the way to it, ssh://user@host[:port] or adb[:serial].", metavar="WAY"
        ),
    ] = "",
    binary: Annotated[
        Path | None,
        typer.Option(help="With --via adb: the runtime's benchmark program built for the phone."),
    ] = None,
    python: Annotated[str, typer.Option(help="With --via ssh: Python on the board.")] = "python3",
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Print only the front and errors.")] = False,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Print all settings too.")] = False,
) -> None:
    """Train a supernet for SPACE, search it for the device, and store and report the front."""
    from nas.errors import NasError
    from nas.latency.profiling.known_device import Reach
    from nas.pipeline.progress import ConsoleReporter, Silent
    from nas.pipeline.run import run as run_study
    from nas.pipeline.stopping import status
    from nas.scale.workers import Workers
    from nas.store.engine import check_kept

    spread = {
        "--n-workers": n_workers > 1,
        "--train-workers": train_workers > 1,
        "--synchronous": synchronous,
    }
    given = [option for option, used in {**spread, "--max-failures": max_failures != 3}.items() if used]
    if given and ray is None:
        raise NasError(
            f"{' and '.join(given)}: only Ray's workers heed that; give --ray local (or an address)."
        )
    if (via or binary or python != "python3") and not measure:
        raise NasError(
            "--via, --binary and --python say how to reach what --measure times; give --measure too."
        )
    check_kept(storage)
    reporter = Silent() if quiet else ConsoleReporter()
    try:
        study = run_study(
            space,
            device=device or (),
            recipe=recipe,
            settings=set_ or (),
            objectives=_words(objectives),
            constraints=constraint or (),
            requirements=require or (),
            accuracy=accuracy,
            latency=latency,
            supernet=supernet,
            init=init,
            warm_start=warm_start or (),
            enqueue=enqueue or (),
            data=data,
            strategy=strategy,
            n_trials=n_trials,
            seed=seed,
            study_name=study_name,
            storage=storage,
            resume=resume,
            timeout=timeout,
            command=["nas", *sys.argv[1:]],
            verbose=verbose,
            reporter=reporter,
            workers=None
            if ray is None
            else Workers(ray, n_workers, max_failures, not synchronous, train_workers),
            measured=Reach(via, binary, python) if measure else None,
        )
    except KeyboardInterrupt as stopped:
        if not any(stopped.args):  # before there was a study to go on with
            raise
        say_stopped(f"{stopped}. Continue with:\n  {resumed(sys.argv[1:])}")
        raise typer.Exit(status(stopped)) from None
    front(study.name, storage=storage)
    if not quiet:
        _next_steps(space, study, storage)


def _words(texts: list[str] | None) -> list[str]:
    return [word for text in texts or [] for word in text.replace(",", " ").split()]


def _next_steps(space: str, study: Study, storage: str | None) -> None:
    from nas import content

    steps = [(command_line(["nas", "front", "-f", "json"], [study.name], storage), "the front as data")]
    steps += [
        (command_line(["nas", "show"], [f"{study.name}/{number}"], storage), "one architecture")
        for number in study.front()["number"][:1]
    ]
    steps.append((command_line(["nas", "report"], [study.name], storage), "write the report again"))
    config = study.row.config
    others = [device for device in content.names("devices") if device not in config["devices"]]
    if config["accuracy"] == "supernet" and config["devices"] and others:
        words = ["nas", "run", f"--supernet={config['supernet'] or study.name}", "--device", others[0]]
        again = command_line(words, [space], storage)
        steps.append((again, "another device, without training"))
    echo("Next:", err=True)
    for command, why in steps:
        echo(f"  {command:<60} {why}", err=True)
