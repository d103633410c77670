"""The command line. Errors are one message without a traceback; commands import what they need when run."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated

import typer

from nas.cli import (
    dashboard,
    device,
    doctor,
    evaluate,
    export,
    front,
    generate,
    measure,
    predictor,
    report,
    reproduce,
    retrain,
    run,
    show,
    space,
    study,
    sweep,
    teach,
)
from nas.cli.plugins import PluginOption, explain, load_given, plugins_first
from nas.errors import NasError, shortened
from nas.printable import printable

app = typer.Typer(
    name="nas",
    help="Neural architecture search for vision models on your device.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("run")(run.run)
app.add_typer(space.app, name="space")
app.add_typer(device.app, name="device")
app.add_typer(predictor.app, name="predictor")
app.add_typer(study.app, name="study")
app.command("front")(front.front)
app.command("show")(show.show)
app.command("sweep")(sweep.sweep)
app.command("evaluate")(evaluate.evaluate)
app.command("retrain")(retrain.retrain)
app.command("teach")(teach.teach)
app.command("export")(export.export)
app.command("generate")(generate.generate)
app.command("measure")(measure.measure)
app.command("report")(report.report)
app.command("reproduce")(reproduce.reproduce)
app.command("dashboard")(dashboard.dashboard)
app.command("doctor")(doctor.doctor)


_OBJECTIVE = re.compile(r"\w+(@[\w.-]+)?:(min|max)")


def _version(asked: bool) -> None:
    if asked:
        from nas import __version__

        typer.echo(f"nas {__version__}")
        raise typer.Exit


@app.callback()
def _global(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")] = False,
    plugin: PluginOption = None,
) -> None:
    """Neural architecture search for vision models on your device."""
    load_given(plugin or ())


explain(app)


def with_objectives(arguments: list[str]) -> list[str]:
    """`--objectives accuracy:max latency:min` as one value: the option takes several words."""
    found: list[str] = []
    for argument in arguments:
        joins = len(found) > 1 and found[-2] == "--objectives" and _OBJECTIVE.fullmatch(argument)
        if joins:
            found[-1] += f" {argument}"
        else:
            found.append(argument)
    return found


def _check_text(arguments: Sequence[str]) -> None:
    """Names and files go into storages and files, which hold text.

    Raises:
        NasError: an argument that is no text in the encoding of this system.
    """
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError:
            raise NasError(
                f"{shortened(argument)!r} is not UTF-8 text; rename the file or the study."
            ) from None


def main() -> None:
    """Entry point of the `nas` command."""
    debug = "--debug" in sys.argv
    try:
        _check_text(sys.argv[1:])
        given = plugins_first([a for a in sys.argv[1:] if a != "--debug"])
        sys.argv = [sys.argv[0], *with_objectives(given)]
        app()
    except NasError as error:
        if debug:
            raise
        typer.echo(printable(f"error: {error}"), err=True)
        sys.exit(1)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except KeyboardInterrupt as stopped:
        from nas.pipeline.stopping import status

        with suppress(OSError):
            typer.echo("stopped.", err=True)
        sys.exit(status(stopped))
    except Exception as error:
        if debug:
            raise
        from nas.plugins.failures import culprit

        place = culprit(error)
        whose = "internal error" if place is None else f"{place}: error in a plug-in"
        if place is None and isinstance(error, OSError) and error.filename and error.strerror:
            typer.echo(printable(f"error: {shortened(str(error.filename))}: {error.strerror}."), err=True)
            sys.exit(1)
        told = f"{whose}: {type(error).__name__}: {error}. Run with --debug for the traceback."
        typer.echo(printable(told), err=True)
        sys.exit(2)
