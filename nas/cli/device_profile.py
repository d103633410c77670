"""`nas device profile`: time a space's units and networks on a device."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from nas.cli.output import echo


def profile(
    target: Annotated[
        str, typer.Argument(help="`host` for this machine, or a name for the device.", metavar="host|NAME")
    ],
    space: Annotated[
        str, typer.Option(help="Space whose units are timed: name or file.", metavar="NAME|FILE")
    ] = "elasticvit",
    runtime: Annotated[
        str,
        typer.Option(help="What runs them: onnxruntime, executorch, torch, training, or a plug-in's."),
    ] = "onnxruntime",
    threads: Annotated[int, typer.Option(help="Threads of the runtime.", min=1)] = 1,
    budget: Annotated[
        str | None, typer.Option(help="Time for all of it, e.g. 90s, 10m, 1h.", metavar="TIME")
    ] = None,
    target_error: Annotated[
        str, typer.Option(help="Mean error of left-out networks at which it ends.", metavar="SHARE")
    ] = "5%",
    networks: Annotated[int, typer.Option(help="Whole networks to time.", min=0)] = 30,
    samples: Annotated[
        int | None,
        typer.Option(help="Units to time at most. Networks are then timed only if asked for.", min=1),
    ] = None,
    like: Annotated[
        list[str] | None,
        typer.Option(help="A known device to start from; repeat for several.", metavar="DEVICE"),
    ] = None,
    via: Annotated[
        str, typer.Option(help="How to reach it: ssh://user@host[:port] or adb[:serial].", metavar="WAY")
    ] = "",
    binary: Annotated[
        Path | None, typer.Option(help="For adb: the runtime's benchmark program built for the phone.")
    ] = None,
    python: Annotated[str, typer.Option(help="For ssh: Python on the board.")] = "python3",
    name: Annotated[str, typer.Option(help="Of the device; by default NAME, host-RUNTIME for host.")] = "",
    output: Annotated[Path | None, typer.Option(help="Folder to write; by default ./devices/NAME.")] = None,
    seed: Annotated[int, typer.Option(help="Of draws and orders.", min=0)] = 0,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Print only the result and errors.")] = False,
) -> None:
    """Time a space's units and whole networks, and fit a predictor to them. Give it again to continue."""
    from nas.errors import NasError
    from nas.latency.profiling.profiler import Limits
    from nas.latency.profiling.session import Request
    from nas.latency.profiling.session import profile as run
    from nas.pipeline.progress import ConsoleReporter, Interrupt, Silent
    from nas.quantity import parse_quantity

    seconds, error = (
        parse_quantity(budget, "seconds") if budget else None,
        parse_quantity(target_error, "fraction"),
    )
    if seconds is not None and seconds <= 0:
        raise NasError(f"--budget {budget!r}: a time above 0 is needed, e.g. 10m.")
    if not 0 <= error < 1:
        raise NasError(
            f"--target-error {target_error!r}: a share from 0 % to below 100 % is needed, e.g. 5%."
        )
    limits = Limits(
        seconds=seconds,
        units=samples,
        networks=_networks(networks, samples),
        error=error,
    )
    request = Request(
        target=target,
        space=space,
        runtime=runtime,
        threads=threads,
        limits=limits,
        via=via,
        binary=binary,
        python=python,
        name=name,
        output=output,
        like=tuple(like or ()),
        seed=seed,
    )
    with Interrupt() as interrupt:
        device = run(request, Silent() if quiet else ConsoleReporter(), lambda: interrupt.asked)
    if device is None:
        again = shlex.join(["nas", *sys.argv[1:]])
        echo(f"stopped; everything timed is saved. Continue with:\n  {again}", err=True)
        raise typer.Exit(interrupt.status)
    echo(f"Wrote {device.folder}. {device.describe()}")


def _networks(asked: int, samples: int | None) -> int:
    """A few samples are a matter of a minute; thirty networks are not."""
    given = any(word == "--networks" or word.startswith("--networks=") for word in sys.argv)
    return asked if given or samples is None else 0
