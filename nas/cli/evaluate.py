"""`nas evaluate`: what a network answers with weights from elsewhere."""

from __future__ import annotations

from typing import Annotated

import typer

from nas.cli.output import Format, FormatOption, QuietOption, echo, echo_json

InitOption = Annotated[
    str,
    typer.Option("--init", help="FILE.safetensors, a .pth file of weights, or timm:NAME.", metavar="WEIGHTS"),
]
PresetArgument = Annotated[
    str, typer.Argument(help="A space and its preset, e.g. efficientformer:L1.", metavar="SPACE:PRESET")
]
DataOption = Annotated[
    str | None, typer.Option(help="digits, numbers, shapes, imagefolder:PATH or hf:NAME.", metavar="SPEC")
]


def evaluate(
    preset: PresetArgument,
    init: InitOption,
    data: DataOption = None,
    limit: Annotated[int, typer.Option(help="Test images at most; 0: all.", min=0)] = 0,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="evaluate.*, train.resolution_scale, seed or threads.", metavar="KEY=VALUE"
        ),
    ] = None,
    form: FormatOption = Format.table,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="List every weight.")] = False,
    quiet: QuietOption = False,
) -> None:
    """Classify test images by a preset's network with the weights of a file, or timm's; nothing is trained."""
    from nas.pipeline.given_weights import evaluate_weights
    from nas.pipeline.presets import find_preset
    from nas.pipeline.progress import ConsoleReporter, Silent
    from nas.report.units import interval, quantity
    from nas.weights.filling import listing, reasons, summary

    reporter = Silent() if quiet else ConsoleReporter()
    done = evaluate_weights(
        find_preset(preset), init, reporter, data=data, assignments=set_ or (), limit=limit
    )
    metric = done.evaluation.metric(f"{done.images}, weights {done.initial.name}")
    if form is Format.json:
        facts, rows = done.initial.facts(), [vars(row) for row in done.rows]
        echo_json({"preset": preset, "accuracy": metric.to_json(), "init": facts, "weights": rows})
        return
    if verbose:
        echo(listing(done.rows), nl=False)
    if not quiet:
        echo(f"weights  {summary(done.rows)}", err=True)
        for line in [*filter(None, [done.initial.note]), *reasons(done.rows)]:
            echo(f"  {line}", err=True)
    shown = quantity(metric.value, metric.unit)
    echo(f"accuracy {shown} ({interval(metric)}) {metric.provenance}, {metric.detail}")
